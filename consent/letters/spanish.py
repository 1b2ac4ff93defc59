"""Spanish."""

from consent.letters.catalogue import Phrases

SPANISH = Phrases(
    code="es",
    greeting="Hola:",
    closing="Un saludo",
    number="Número de su solicitud: {number}",
    date="{day:02d}/{month:02d}/{year:04d}",
    types={
        "access": "una copia de sus datos",
        "portability": "sus datos en un formato que pueda llevarse",
        "erasure": "la supresión de sus datos",
        "rectification": "la rectificación de sus datos",
        "restriction": "la limitación del uso de sus datos",
        "objection": "que se tenga en cuenta su oposición al uso de sus datos",
        "opt_out": "que sus datos no se vendan ni se compartan",
    },
    subjects={
        "received": "Hemos recibido su solicitud",
        "identity": "Confirme su solicitud, por favor",
        "extended": "Su solicitud necesita más tiempo",
        "rejected": "Su solicitud",
        "package": "Sus datos están listos",
        "done": "Su solicitud está resuelta",
        "lifting": "Termina la limitación de sus datos",
        "free": "Su solicitud",
    },
    bodies={
        "received": "el {received_on} nos pidió {type}. Responderemos a más tardar el {due_on}. No le cuesta nada.",
        "identity": "alguien, probablemente usted, nos pidió {type}. Para que nadie más pueda hacerlo en su nombre, "
        "confírmelo en un plazo de {days} días. Abra esta página:\n\n{link}\n\no escriba este código donde envió la "
        "solicitud: {code}\n\nSi no fue usted, no haga nada: sin esta confirmación no ocurre nada.",
        "extended": "el {received_on} nos pidió {type}. Necesitamos más que el plazo habitual y responderemos a más "
        "tardar el {due_on}. El motivo:\n\n{reason}\n\nPuede reclamar ante una autoridad de protección de datos o "
        "acudir a los tribunales.",
        "rejected": "el {received_on} nos pidió {type}. No podemos hacerlo. El motivo:\n\n{reason}\n\nPuede reclamar "
        "ante una autoridad de protección de datos o acudir a los tribunales.",
        "package": "el {received_on} nos pidió {type}. El archivo está listo aquí, para una sola descarga en un plazo "
        "de {days} días:\n\n{link}\n\nDice qué tenemos, de dónde vino, para qué lo usamos, quién lo recibe y cuánto "
        "tiempo lo conservamos.",
        "lifting": "sus datos estaban limitados por su solicitud del {received_on}. Eso termina ahora: volveremos a "
        "usarlos. El motivo:\n\n{reason}",
        "free": "{text}",
    },
    done={
        "access": "la copia de sus datos que pidió el {received_on} está hecha.",
        "portability": "la copia de sus datos que pidió el {received_on} está hecha.",
        "erasure": "estamos suprimiendo sus datos, como pidió el {received_on}. Esta carta es la última que podemos "
        "enviarle: su dirección también desaparece. Lo que una ley nos obliga a conservar queda bloqueado hasta que "
        "termine su plazo.",
        "rectification": "sus datos se han rectificado como pidió el {received_on}. Quienes los recibieron de nosotros "
        "serán informados.",
        "restriction": "como pidió el {received_on}, sus datos se conservan y no se usan. Le escribiremos antes de que "
        "eso termine.",
        "objection": "como pidió el {received_on}, ya no usamos sus datos para aquello a lo que se opuso.",
        "opt_out": "como pidió el {received_on}, sus datos no se venden ni se comparten.",
    },
)
