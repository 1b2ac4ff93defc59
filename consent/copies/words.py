"""The sentences of the readable page in a copy of a person's data, in four languages. Names of columns stay.

References
----------
GDPR Art. 12(1): in an intelligible form, using clear and plain language.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CopyWords:
    """One language. `{...}` is filled by `str.format`; `tables` and `bases` are by key, others stay as they are."""

    code: str
    title: str
    made: str
    inside: str
    used_for: str
    purpose: str
    legal_basis: str
    kept: str
    recipients: str
    as_long_as_needed: str
    nobody: str
    came_from: str
    no_source: str
    your_rights: str
    rights: tuple[str, ...]
    automated: str
    first: str
    bases: Mapping[str, str]
    tables: Mapping[str, str]

    def table(self, name: str) -> str:
        """Return the heading of a table."""
        return self.tables.get(name, name.replace("_", " ").capitalize())

    def basis(self, name: str) -> str:
        """Return a legal basis in words."""
        return self.bases.get(name, name.replace("_", " "))


BASES = ("consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests")
TABLES = (
    *("profile", "identifiers", "events", "orders", "sessions", "groups", "corrections", "consents", "segments"),
    *("merges", "changes", "disclosures", "exports", "privacy_requests", "preference_links", "refused_rows"),
    *("quarantine", "held", "archive"),
)


def _by(keys: tuple[str, ...], *texts: str) -> Mapping[str, str]:
    return dict(zip(keys, texts, strict=True))


COPY: Mapping[str, CopyWords] = {
    one.code: one
    for one in (
        CopyWords(
            code="en",
            title="Copy of your data",
            made="Made on {at} UTC for request {number}. All of it, as programs read it, is in data.json; tables are "
            "in the folder csv; manifest.json lists every file with its SHA-256.",
            inside="What is inside",
            used_for="What it is used for",
            purpose="Purpose",
            legal_basis="Legal basis",
            kept="Kept for (days)",
            recipients="Recipients",
            as_long_as_needed="as long as needed",
            nobody="none",
            came_from="Where it came from",
            no_source="No source is known.",
            your_rights="Your rights",
            rights=(
                "Access (Art. 15)",
                "Rectification (Art. 16)",
                "Erasure (Art. 17)",
                "Restriction (Art. 18)",
                "Portability (Art. 20)",
                "Objection (Art. 21)",
                "Withdrawal of consent at any time (Art. 7(3))",
                "Complaint to a supervisory authority (Art. 77)",
            ),
            automated="Segments group people by rules; each membership names its segment. Nothing here decides about a "
            "person with legal effect (Art. 22).",
            first="The first {shown} of {count}; all are in the other files.",
            bases=_by(
                BASES,
                *("consent", "contract", "legal obligation", "vital interests", "public task", "legitimate interests"),
            ),
            tables=_by(
                TABLES,
                *(
                    "Profile",
                    "Identifiers",
                    "Events",
                    "Orders",
                    "Visits",
                    "Groups",
                    "Corrections",
                    "Consents",
                    "Segments",
                ),
                *("Merges", "Changes", "Disclosures", "Exports", "Privacy requests", "Preference links"),
                *("Refused rows of imports", "Quarantine", "Held messages", "Messages as received"),
            ),
        ),
        CopyWords(
            code="de",
            title="Kopie Ihrer Daten",
            made="Erstellt am {at} UTC für die Anfrage {number}. Alles in maschinenlesbarer Form steht in data.json, "
            "Tabellen im Ordner csv; manifest.json nennt jede Datei mit ihrer SHA-256.",
            inside="Was darin ist",
            used_for="Wofür es verwendet wird",
            purpose="Zweck",
            legal_basis="Rechtsgrundlage",
            kept="Aufbewahrung (Tage)",
            recipients="Empfänger",
            as_long_as_needed="so lange wie nötig",
            nobody="keine",
            came_from="Woher es stammt",
            no_source="Keine Quelle ist bekannt.",
            your_rights="Ihre Rechte",
            rights=(
                "Auskunft (Art. 15)",
                "Berichtigung (Art. 16)",
                "Löschung (Art. 17)",
                "Einschränkung der Verarbeitung (Art. 18)",
                "Datenübertragbarkeit (Art. 20)",
                "Widerspruch (Art. 21)",
                "Widerruf einer Einwilligung, jederzeit (Art. 7 Abs. 3)",
                "Beschwerde bei einer Aufsichtsbehörde (Art. 77)",
            ),
            automated="Segmente fassen Menschen nach Regeln zusammen; jede Zugehörigkeit nennt ihr Segment. Nichts "
            "hier entscheidet mit rechtlicher Wirkung über eine Person (Art. 22).",
            first="Die ersten {shown} von {count}; alle stehen in den anderen Dateien.",
            bases=_by(
                BASES,
                *("Einwilligung", "Vertrag", "rechtliche Verpflichtung", "lebenswichtige Interessen"),
                *("öffentliche Aufgabe", "berechtigte Interessen"),
            ),
            tables=_by(
                TABLES,
                *(
                    "Profil",
                    "Kennungen",
                    "Ereignisse",
                    "Bestellungen",
                    "Besuche",
                    "Gruppen",
                    "Berichtigungen",
                    "Einwilligungen",
                ),
                *("Segmente", "Zusammenführungen", "Änderungen", "Weitergaben", "Exporte", "Anfragen zum Datenschutz"),
                *("Links zu Einstellungen", "Abgelehnte Zeilen von Importen", "Quarantäne"),
                *("Zurückgehaltene Nachrichten", "Nachrichten, wie sie kamen"),
            ),
        ),
        CopyWords(
            code="fr",
            title="Copie de vos données",
            made="Établie le {at} UTC pour la demande {number}. Le tout, lisible par machine, est dans data.json ; les "
            "tableaux sont dans le dossier csv ; manifest.json énumère chaque fichier avec sa somme SHA-256.",
            inside="Ce qu’elle contient",
            used_for="À quoi elles servent",
            purpose="Finalité",
            legal_basis="Base juridique",
            kept="Conservation (jours)",
            recipients="Destinataires",
            as_long_as_needed="aussi longtemps que nécessaire",
            nobody="aucun",
            came_from="D’où elles viennent",
            no_source="Aucune source n’est connue.",
            your_rights="Vos droits",
            rights=(
                "Accès (art. 15)",
                "Rectification (art. 16)",
                "Effacement (art. 17)",
                "Limitation du traitement (art. 18)",
                "Portabilité (art. 20)",
                "Opposition (art. 21)",
                "Retrait du consentement à tout moment (art. 7, § 3)",
                "Réclamation auprès d’une autorité de contrôle (art. 77)",
            ),
            automated="Les segments regroupent des personnes selon des règles ; chaque appartenance nomme son "
            "segment. Rien ici ne décide d’une personne avec effet juridique (art. 22).",
            first="Les {shown} premières lignes sur {count} ; toutes sont dans les autres fichiers.",
            bases=_by(
                BASES,
                *("consentement", "contrat", "obligation légale", "intérêts vitaux", "mission d’intérêt public"),
                *("intérêts légitimes",),
            ),
            tables=_by(
                TABLES,
                *(
                    "Profil",
                    "Identifiants",
                    "Événements",
                    "Commandes",
                    "Visites",
                    "Groupes",
                    "Rectifications",
                    "Consentements",
                ),
                *(
                    "Segments",
                    "Fusions",
                    "Modifications",
                    "Communications",
                    "Exports",
                    "Demandes relatives aux données",
                ),
                *("Liens de préférences", "Lignes d’import refusées", "Quarantaine"),
                *("Messages retenus", "Messages tels que reçus"),
            ),
        ),
        CopyWords(
            code="es",
            title="Copia de sus datos",
            made="Hecha el {at} UTC para la solicitud {number}. Todo, legible por programas, está en data.json; las "
            "tablas están en la carpeta csv; manifest.json enumera cada archivo con su SHA-256.",
            inside="Qué contiene",
            used_for="Para qué se usan",
            purpose="Finalidad",
            legal_basis="Base jurídica",
            kept="Conservación (días)",
            recipients="Destinatarios",
            as_long_as_needed="el tiempo necesario",
            nobody="ninguno",
            came_from="De dónde proceden",
            no_source="No se conoce ninguna fuente.",
            your_rights="Sus derechos",
            rights=(
                "Acceso (art. 15)",
                "Rectificación (art. 16)",
                "Supresión (art. 17)",
                "Limitación del tratamiento (art. 18)",
                "Portabilidad (art. 20)",
                "Oposición (art. 21)",
                "Retirada del consentimiento en cualquier momento (art. 7.3)",
                "Reclamación ante una autoridad de control (art. 77)",
            ),
            automated="Los segmentos agrupan a personas según reglas; cada pertenencia nombra su segmento. Nada aquí "
            "decide sobre una persona con efectos jurídicos (art. 22).",
            first="Las primeras {shown} de {count}; todas están en los otros archivos.",
            bases=_by(
                BASES,
                *("consentimiento", "contrato", "obligación legal", "intereses vitales", "interés público"),
                *("intereses legítimos",),
            ),
            tables=_by(
                TABLES,
                *(
                    "Perfil",
                    "Identificadores",
                    "Eventos",
                    "Pedidos",
                    "Visitas",
                    "Grupos",
                    "Rectificaciones",
                    "Consentimientos",
                ),
                *("Segmentos", "Fusiones", "Cambios", "Comunicaciones", "Exportaciones", "Solicitudes de privacidad"),
                *("Enlaces de preferencias", "Filas de importación rechazadas", "Cuarentena"),
                *("Mensajes retenidos", "Mensajes tal como llegaron"),
            ),
        ),
    )
}
