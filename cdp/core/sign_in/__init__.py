"""How people prove who they are: what this installation asks of django-allauth.

Passwords, lock-out and sessions are Django's (with django-axes); second factors, single sign-on and the list of
sessions are django-allauth's. There is no sign-up: people are invited, or come in by single sign-on with a role.
"""
