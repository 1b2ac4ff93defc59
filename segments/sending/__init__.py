"""What is sent about people, and how: columns, hashing for ad platforms, request templates, signatures, retries. Pure.

Knows neither Django nor the database nor the network: values come in, texts and bytes go out.
"""
