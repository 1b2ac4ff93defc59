"""Column sets with the names, normal forms and digests that customer lists of ad platforms ask for.

References
----------
Google Ads Help, “Customer Match”: e-mail, phone, first and last name are hashed, country and zip are not; addresses in
lower case without spaces around them, phone numbers in E.164. Meta, “Customer File Custom Audiences”: everything is
hashed but the mobile advertiser id and the external id; phone numbers are digits that begin with the country code.
"""

from collections.abc import Mapping

from segments.sending.columns import Column

PRESETS: Mapping[str, tuple[str, tuple[Column, ...]]] = {
    "google_customer_match": (
        "Google Customer Match",
        (
            Column("Email", "email", "hash_email"),
            Column("Phone", "phone", "hash_phone"),
            Column("First Name", "trait:first_name", "hash_name"),
            Column("Last Name", "trait:last_name", "hash_name"),
            Column("Country", "trait:country", "country"),
            Column("Zip", "trait:postcode", "postcode"),
        ),
    ),
    "meta_custom_audience": (
        "Meta custom audience",
        (
            Column("email", "email", "hash_email"),
            Column("phone", "phone", "hash_phone_digits"),
            Column("fn", "trait:first_name", "hash_bare_name"),
            Column("ln", "trait:last_name", "hash_bare_name"),
            Column("zip", "trait:postcode", "hash_bare_postcode"),
            Column("ct", "trait:city", "hash_city"),
            Column("st", "trait:state", "hash_state"),
            Column("country", "trait:country", "hash_bare_country"),
            Column("dob", "trait:birthday", "hash_birth_date"),
            Column("gen", "trait:gender", "hash_gender"),
            Column("uid", "id", "hash_text"),
        ),
    ),
    "contacts": (
        "Contacts",
        (
            Column("id", "id"),
            Column("email", "email"),
            Column("phone", "phone"),
            Column("first_name", "trait:first_name"),
            Column("last_name", "trait:last_name"),
        ),
    ),
}
