"""The sentences of the pages on which people ask for their rights, in four languages."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IntakeWords:
    """One language. `{...}` is filled by `str.format`."""

    title: str
    intro: str
    ask: str
    types: Mapping[str, str]
    email: str
    message: str
    message_hint: str
    ccpa: str
    sent_title: str
    sent: str
    code: str
    code_button: str
    code_wrong: str
    confirm_title: str
    confirm_ask: str
    confirm_button: str
    confirmed_title: str
    confirmed: str
    copy_title: str
    copy_ask: str
    copy_button: str


INTAKE: Mapping[str, IntakeWords] = {
    "en": IntakeWords(
        title="Your data, your rights",
        intro="Tell us what you want. It costs you nothing. We send you an e-mail to make sure that it is you.",
        ask="What do you want?",
        types={
            "access": "See what you hold about me",
            "portability": "Take my data elsewhere",
            "erasure": "Have my data erased",
            "rectification": "Have something corrected",
            "restriction": "Have my data kept but not used",
            "objection": "Object to the use of my data",
            "opt_out": "Do not sell or share my data",
        },
        email="Your e-mail address",
        message="Anything that we should know",
        message_hint="For a correction: what is wrong, and what is right. You can leave this empty.",
        ccpa="I live in California",
        sent_title="Please look into your mailbox",
        sent="If this address can be reached, a message is on its way. Open its link, or enter its six digits here. "
        "Without that nothing happens.",
        code="The six digits",
        code_button="Confirm",
        code_wrong="These digits do not fit. After five tries use the link, or send a new request.",
        confirm_title="Please confirm",
        confirm_ask="You, or somebody with your address, asked us for this:",
        confirm_button="Yes, that was me",
        confirmed_title="Thank you",
        confirmed="Your request is confirmed. We will answer by {day}. Its number is {number}.",
        copy_title="Your data is ready",
        copy_ask="You can download it once. After that it is gone from here.",
        copy_button="Download",
    ),
    "de": IntakeWords(
        title="Ihre Daten, Ihre Rechte",
        intro="Sagen Sie uns, was Sie möchten. Es kostet Sie nichts. Wir senden Ihnen eine E-Mail, um sicher zu sein, "
        "dass Sie es sind.",
        ask="Was möchten Sie?",
        types={
            "access": "Sehen, was Sie über mich haben",
            "portability": "Meine Daten mitnehmen",
            "erasure": "Meine Daten löschen lassen",
            "rectification": "Etwas berichtigen lassen",
            "restriction": "Meine Daten aufbewahren, aber nicht verwenden lassen",
            "objection": "Der Verwendung meiner Daten widersprechen",
            "opt_out": "Meine Daten nicht verkaufen oder weitergeben lassen",
        },
        email="Ihre E-Mail-Adresse",
        message="Was wir noch wissen sollten",
        message_hint="Bei einer Berichtigung: was falsch ist und was richtig. Sie können das leer lassen.",
        ccpa="Ich wohne in Kalifornien",
        sent_title="Bitte sehen Sie in Ihr Postfach",
        sent="Wenn die Adresse erreichbar ist, ist eine Nachricht unterwegs. Öffnen Sie deren Link, oder geben Sie die "
        "sechs Ziffern hier ein. Ohne das geschieht nichts.",
        code="Die sechs Ziffern",
        code_button="Bestätigen",
        code_wrong="Diese Ziffern passen nicht. Nach fünf Versuchen nutzen Sie den Link oder senden eine neue Anfrage.",
        confirm_title="Bitte bestätigen",
        confirm_ask="Sie oder jemand mit Ihrer Adresse hat uns um Folgendes gebeten:",
        confirm_button="Ja, das war ich",
        confirmed_title="Vielen Dank",
        confirmed="Ihre Anfrage ist bestätigt. Wir antworten bis zum {day}. Ihre Nummer ist {number}.",
        copy_title="Ihre Daten liegen bereit",
        copy_ask="Sie können sie einmal herunterladen. Danach sind sie hier nicht mehr.",
        copy_button="Herunterladen",
    ),
    "fr": IntakeWords(
        title="Vos données, vos droits",
        intro="Dites-nous ce que vous souhaitez. Cela ne vous coûte rien. Nous vous envoyons un e-mail pour être sûrs "
        "que c’est vous.",
        ask="Que souhaitez-vous ?",
        types={
            "access": "Voir ce que vous détenez sur moi",
            "portability": "Emporter mes données",
            "erasure": "Faire effacer mes données",
            "rectification": "Faire rectifier quelque chose",
            "restriction": "Que mes données soient conservées sans être utilisées",
            "objection": "M’opposer à l’utilisation de mes données",
            "opt_out": "Que mes données ne soient ni vendues ni partagées",
        },
        email="Votre adresse e-mail",
        message="Ce que nous devrions savoir",
        message_hint="Pour une rectification : ce qui est faux et ce qui est juste. Ce champ peut rester vide.",
        ccpa="J’habite en Californie",
        sent_title="Veuillez consulter votre boîte aux lettres",
        sent="Si l’adresse est joignable, un message est en route. Ouvrez son lien, ou saisissez ici ses six chiffres. "
        "Sans cela, rien ne se passe.",
        code="Les six chiffres",
        code_button="Confirmer",
        code_wrong="Ces chiffres ne conviennent pas. Après cinq essais, utilisez le lien ou envoyez une nouvelle "
        "demande.",
        confirm_title="Veuillez confirmer",
        confirm_ask="Vous, ou quelqu’un avec votre adresse, nous avez demandé ceci :",
        confirm_button="Oui, c’était moi",
        confirmed_title="Merci",
        confirmed="Votre demande est confirmée. Nous répondrons au plus tard le {day}. Son numéro est {number}.",
        copy_title="Vos données sont prêtes",
        copy_ask="Vous pouvez les télécharger une fois. Ensuite elles ne sont plus ici.",
        copy_button="Télécharger",
    ),
    "es": IntakeWords(
        title="Sus datos, sus derechos",
        intro="Díganos qué desea. No le cuesta nada. Le enviamos un correo para asegurarnos de que es usted.",
        ask="¿Qué desea?",
        types={
            "access": "Ver qué tienen sobre mí",
            "portability": "Llevarme mis datos",
            "erasure": "Que se supriman mis datos",
            "rectification": "Que se corrija algo",
            "restriction": "Que mis datos se conserven sin usarse",
            "objection": "Oponerme al uso de mis datos",
            "opt_out": "Que mis datos no se vendan ni se compartan",
        },
        email="Su dirección de correo electrónico",
        message="Lo que deberíamos saber",
        message_hint="Para una corrección: qué está mal y qué es correcto. Puede dejarlo vacío.",
        ccpa="Vivo en California",
        sent_title="Mire su buzón, por favor",
        sent="Si se puede llegar a la dirección, hay un mensaje en camino. Abra su enlace o escriba aquí sus seis "
        "cifras. Sin eso no ocurre nada.",
        code="Las seis cifras",
        code_button="Confirmar",
        code_wrong="Estas cifras no valen. Después de cinco intentos use el enlace o envíe una nueva solicitud.",
        confirm_title="Confirme, por favor",
        confirm_ask="Usted, o alguien con su dirección, nos pidió esto:",
        confirm_button="Sí, fui yo",
        confirmed_title="Gracias",
        confirmed="Su solicitud está confirmada. Responderemos a más tardar el {day}. Su número es {number}.",
        copy_title="Sus datos están listos",
        copy_ask="Puede descargarlos una vez. Después ya no estarán aquí.",
        copy_button="Descargar",
    ),
}
