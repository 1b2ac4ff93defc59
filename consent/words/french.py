"""French."""

from consent.words.catalogue import Words

FRENCH = Words(
    code="fr",
    own_name="Français",
    language="Langue",
    save="Enregistrer",
    send="Envoyer",
    page_gone_title="Ce lien n’est plus valable",
    page_gone="Il a peut-être déjà servi, été remplacé ou expiré. Ouvrez le lien de notre message le plus récent, ou "
    "écrivez-nous.",
    preferences_title="Vos choix",
    preferences_intro="Choisissez à quoi vos données peuvent nous servir. Vous pouvez modifier ces choix à tout "
    "moment.",
    preferences_saved="Vos choix sont enregistrés. Ils s’appliquent dès maintenant.",
    withdraw_all="Tout retirer",
    withdraw_all_hint="Plus rien sur cette page ne reste autorisé.",
    nothing_to_choose="Il n’y a rien à choisir pour le moment.",
    all_channels="Par tout moyen",
    channel_email="E-mail",
    channel_sms="SMS",
    channel_push="Notification sur l’appareil",
    channel_phone="Appel téléphonique",
    channel_post="Courrier postal",
    channel_ads="Publicité",
    unsubscribe_title="Désabonnement",
    unsubscribe_ask="Voulez-vous arrêter ceci ?",
    unsubscribe_button="Oui, arrêter",
    unsubscribe_done_title="Vous êtes désabonné",
    unsubscribe_done="C’est arrêté dès maintenant. Vous n’avez rien d’autre à faire.",
    confirm_title="Veuillez confirmer",
    confirm_ask="Vous, ou quelqu’un avec votre adresse, avez accepté ce qui suit. Veuillez confirmer que c’était vous.",
    confirm_button="Oui, j’accepte",
    confirm_done_title="Merci",
    confirm_done="Votre accord est confirmé. Vous pouvez le retirer à tout moment.",
    form_email="Votre adresse e-mail",
    form_phone="Votre numéro de téléphone avec l’indicatif du pays (+…)",
    form_choose="J’accepte :",
    form_leave_empty="Laissez ce champ vide",
    form_sent_title="Merci",
    form_sent="Nous avons reçu votre choix.",
    form_sent_confirm="Nous avons reçu votre choix. Si l’adresse est joignable, un message est en route : ouvrez son "
    "lien pour confirmer. Sans cela, rien ne se passe.",
    form_fault_title="Veuillez vérifier votre saisie",
    form_fault_identifier="Saisissez une adresse ou un numéro complet.",
    form_fault_choice="Cochez au moins une case.",
    form_busy="Ce formulaire a été envoyé très souvent depuis votre réseau. Veuillez réessayer dans une heure.",
    mail_subject="Veuillez confirmer",
    mail_body="Bonjour,\n\nquelqu’un, sans doute vous, a accepté avec cette adresse :\n\n{asks}\n\nConfirmez-le ici, "
    "dans les {days} jours :\n{url}\n\nSi ce n’était pas vous, ne faites rien : sans votre confirmation, rien ne se "
    "passe.\n",
    banner_title="Votre vie privée",
    banner_intro="Nous demandons votre accord avant d’utiliser vos données pour ce qui suit. Vous pouvez changer "
    "d’avis à tout moment.",
    banner_accept="Tout accepter",
    banner_refuse="Tout refuser",
    banner_choose="Choisir",
    banner_save="Enregistrer mon choix",
    banner_close="Fermer sans choisir",
    banner_policy="Politique de confidentialité",
    banner_gpc="Votre navigateur demande de ne pas vendre ni partager vos données. Nous en tenons compte.",
)
