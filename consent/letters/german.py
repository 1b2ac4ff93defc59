"""German."""

from consent.letters.catalogue import Phrases

GERMAN = Phrases(
    code="de",
    greeting="Guten Tag,",
    closing="Mit freundlichen Grüßen",
    number="Nummer Ihrer Anfrage: {number}",
    date="{day:02d}.{month:02d}.{year:04d}",
    types={
        "access": "eine Auskunft mit Kopie Ihrer Daten",
        "portability": "Ihre Daten in übertragbarer Form",
        "erasure": "die Löschung Ihrer Daten",
        "rectification": "die Berichtigung Ihrer Daten",
        "restriction": "die Einschränkung der Verarbeitung Ihrer Daten",
        "objection": "die Beachtung Ihres Widerspruchs gegen die Verarbeitung Ihrer Daten",
        "opt_out": "den Verzicht auf Verkauf und Weitergabe Ihrer Daten",
    },
    subjects={
        "received": "Wir haben Ihre Anfrage erhalten",
        "identity": "Bitte bestätigen Sie Ihre Anfrage",
        "extended": "Ihre Anfrage dauert länger",
        "rejected": "Ihre Anfrage",
        "package": "Ihre Daten liegen bereit",
        "done": "Ihre Anfrage ist erledigt",
        "lifting": "Die Einschränkung Ihrer Daten endet",
        "free": "Ihre Anfrage",
    },
    bodies={
        "received": "am {received_on} haben Sie uns um {type} gebeten. Wir antworten bis zum {due_on}. Das ist für Sie "
        "kostenlos.",
        "identity": "jemand, vermutlich Sie, hat uns um {type} gebeten. Damit niemand anderes das in Ihrem Namen tun "
        "kann, bestätigen Sie es bitte innerhalb von {days} Tagen. Öffnen Sie diese Seite:\n\n{link}\n\noder geben Sie "
        "diesen Code dort ein, wo Sie die Anfrage gesendet haben: {code}\n\nWaren Sie es nicht, tun Sie nichts: Ohne "
        "diese Bestätigung geschieht nichts.",
        "extended": "am {received_on} haben Sie uns um {type} gebeten. Wir brauchen länger als die übliche Frist und "
        "antworten bis zum {due_on}. Der Grund:\n\n{reason}\n\nSie können sich bei einer Datenschutzbehörde beschweren "
        "oder klagen.",
        "rejected": "am {received_on} haben Sie uns um {type} gebeten. Das können wir nicht tun. Der "
        "Grund:\n\n{reason}\n\nSie können sich bei einer Datenschutzbehörde beschweren oder klagen.",
        "package": "am {received_on} haben Sie uns um {type} gebeten. Sie liegen hier bereit, für einen Abruf "
        "innerhalb von {days} Tagen:\n\n{link}\n\nDie Datei sagt, was wir haben, woher es kam, wofür wir es verwenden, "
        "wer es erhält und wie lange wir es aufbewahren.",
        "lifting": "Ihre Daten waren auf Ihre Anfrage vom {received_on} eingeschränkt. Das endet jetzt: Wir verwenden "
        "sie wieder. Der Grund:\n\n{reason}",
        "free": "{text}",
    },
    done={
        "access": "die Kopie Ihrer Daten, um die Sie am {received_on} gebeten haben, ist erstellt.",
        "portability": "die Kopie Ihrer Daten, um die Sie am {received_on} gebeten haben, ist erstellt.",
        "erasure": "wir löschen jetzt Ihre Daten, wie Sie es am {received_on} verlangt haben. Dieser Brief ist der "
        "letzte, den wir Ihnen senden können: Auch Ihre Adresse wird gelöscht. Was wir nach einem Gesetz aufbewahren "
        "müssen, bleibt bis zum Ende der Frist gesperrt.",
        "rectification": "Ihre Daten sind berichtigt, wie Sie es am {received_on} verlangt haben. Wer sie von uns "
        "erhalten hat, wird unterrichtet.",
        "restriction": "wie Sie es am {received_on} verlangt haben, bewahren wir Ihre Daten auf und verwenden sie "
        "nicht. Wir schreiben Ihnen, bevor das endet.",
        "objection": "wie Sie es am {received_on} verlangt haben, verwenden wir Ihre Daten nicht mehr für das, dem Sie "
        "widersprochen haben.",
        "opt_out": "wie Sie es am {received_on} verlangt haben, werden Ihre Daten weder verkauft noch weitergegeben.",
    },
)
