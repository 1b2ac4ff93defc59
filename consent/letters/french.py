"""French."""

from consent.letters.catalogue import Phrases

FRENCH = Phrases(
    code="fr",
    greeting="Bonjour,",
    closing="Cordialement",
    number="Numéro de votre demande : {number}",
    date="{day:02d}/{month:02d}/{year:04d}",
    types={
        "access": "une copie de vos données",
        "portability": "vos données sous une forme transférable",
        "erasure": "l’effacement de vos données",
        "rectification": "la rectification de vos données",
        "restriction": "la limitation du traitement de vos données",
        "objection": "la prise en compte de votre opposition au traitement de vos données",
        "opt_out": "que vos données ne soient ni vendues ni partagées",
    },
    subjects={
        "received": "Nous avons reçu votre demande",
        "identity": "Veuillez confirmer votre demande",
        "extended": "Votre demande prend plus de temps",
        "rejected": "Votre demande",
        "package": "Vos données sont prêtes",
        "done": "Votre demande est traitée",
        "lifting": "La limitation de vos données prend fin",
        "free": "Votre demande",
    },
    bodies={
        "received": "le {received_on}, vous nous avez demandé {type}. Nous répondrons au plus tard le {due_on}. Cela "
        "ne vous coûte rien.",
        "identity": "quelqu’un, sans doute vous, nous a demandé {type}. Pour que personne d’autre ne puisse le faire "
        "en votre nom, veuillez le confirmer dans les {days} jours. Ouvrez cette page :\n\n{link}\n\nou saisissez ce "
        "code là où vous avez envoyé la demande : {code}\n\nSi ce n’était pas vous, ne faites rien : sans cette "
        "confirmation, rien ne se passe.",
        "extended": "le {received_on}, vous nous avez demandé {type}. Il nous faut plus que le délai habituel ; nous "
        "répondrons au plus tard le {due_on}. La raison :\n\n{reason}\n\nVous pouvez déposer une réclamation auprès "
        "d’une autorité de protection des données ou saisir un tribunal.",
        "rejected": "le {received_on}, vous nous avez demandé {type}. Nous ne pouvons pas le faire. La "
        "raison :\n\n{reason}\n\nVous pouvez déposer une réclamation auprès d’une autorité de protection des données "
        "ou saisir un tribunal.",
        "package": "le {received_on}, vous nous avez demandé {type}. Le fichier est prêt ici, pour un seul "
        "téléchargement dans les {days} jours :\n\n{link}\n\nIl indique ce que nous détenons, d’où cela vient, à quoi "
        "cela sert, qui le reçoit et combien de temps nous le conservons.",
        "lifting": "vos données étaient limitées à votre demande du {received_on}. Cela prend fin maintenant : nous "
        "les utiliserons de nouveau. La raison :\n\n{reason}",
        "free": "{text}",
    },
    done={
        "access": "la copie de vos données que vous avez demandée le {received_on} est prête.",
        "portability": "la copie de vos données que vous avez demandée le {received_on} est prête.",
        "erasure": "nous effaçons maintenant vos données, comme vous l’avez demandé le {received_on}. Cette lettre est "
        "la dernière que nous pouvons vous envoyer : votre adresse disparaît aussi. Ce qu’une loi nous oblige à "
        "conserver reste bloqué jusqu’à la fin de son délai.",
        "rectification": "vos données ont été rectifiées comme vous l’avez demandé le {received_on}. Ceux qui les ont "
        "reçues de nous en sont informés.",
        "restriction": "comme vous l’avez demandé le {received_on}, vos données sont conservées et ne sont pas "
        "utilisées. Nous vous écrirons avant que cela ne prenne fin.",
        "objection": "comme vous l’avez demandé le {received_on}, nous n’utilisons plus vos données pour ce à quoi "
        "vous vous êtes opposé.",
        "opt_out": "comme vous l’avez demandé le {received_on}, vos données ne sont ni vendues ni partagées.",
    },
)
