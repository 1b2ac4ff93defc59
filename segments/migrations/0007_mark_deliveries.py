"""Let the database note about whom a destination may have to be told something.

Statement-level triggers with transition tables: one insert for each statement that changes memberships, current
consents, restrictions or suppressions, into a table without unique constraints, so that nobody ever waits for it.
"""

from django.db import migrations

MEMBERS = """
CREATE FUNCTION segments_mark_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segments_deliverymark (destination_id, profile_id)
    SELECT d.id, c.profile_id FROM changed c JOIN segments_destination d ON d.segment_id = c.segment_id
    WHERE d.enabled;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_mark_entered AFTER INSERT ON segments_membership
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION segments_mark_members();
CREATE TRIGGER segments_mark_left AFTER DELETE ON segments_membership
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION segments_mark_members();
CREATE TRIGGER segments_mark_moved AFTER UPDATE ON segments_membership
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION segments_mark_members();
"""
NO_MEMBERS = """
DROP TRIGGER segments_mark_entered ON segments_membership;
DROP TRIGGER segments_mark_left ON segments_membership;
DROP TRIGGER segments_mark_moved ON segments_membership;
DROP FUNCTION segments_mark_members();
"""

# Whoever was told of, and whoever may be from now on.
CONSENTS = """
CREATE FUNCTION segments_mark_consents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segments_deliverymark (destination_id, profile_id)
    SELECT DISTINCT d.id, c.profile_id
    FROM changed c
    JOIN consent_purpose p ON p.id = c.purpose_id
    JOIN segments_destination d ON d.purpose = p.key AND d.enabled
    WHERE EXISTS (SELECT 1 FROM segments_activated a WHERE a.destination_id = d.id AND a.profile_id = c.profile_id)
       OR EXISTS (SELECT 1 FROM segments_membership m WHERE m.segment_id = d.segment_id AND m.profile_id = c.profile_id);
    RETURN NULL;
END $$;
CREATE TRIGGER segments_mark_decided AFTER INSERT ON consent_current
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION segments_mark_consents();
CREATE TRIGGER segments_mark_changed AFTER UPDATE ON consent_current
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION segments_mark_consents();
CREATE TRIGGER segments_mark_forgotten AFTER DELETE ON consent_current
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION segments_mark_consents();
"""
NO_CONSENTS = """
DROP TRIGGER segments_mark_decided ON consent_current;
DROP TRIGGER segments_mark_changed ON consent_current;
DROP TRIGGER segments_mark_forgotten ON consent_current;
DROP FUNCTION segments_mark_consents();
"""

BARRED = """
CREATE FUNCTION segments_mark_restricted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segments_deliverymark (destination_id, profile_id)
    SELECT d.id, NEW.id FROM segments_destination d
    WHERE d.enabled AND (
        EXISTS (SELECT 1 FROM segments_activated a WHERE a.destination_id = d.id AND a.profile_id = NEW.id)
        OR EXISTS (SELECT 1 FROM segments_membership m WHERE m.segment_id = d.segment_id AND m.profile_id = NEW.id)
    );
    RETURN NULL;
END $$;
CREATE TRIGGER segments_mark_restricted AFTER UPDATE OF restricted ON profiles_profile
    FOR EACH ROW WHEN (OLD.restricted IS DISTINCT FROM NEW.restricted) EXECUTE FUNCTION segments_mark_restricted();

CREATE FUNCTION segments_mark_suppressed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO segments_deliverymark (destination_id, profile_id)
    SELECT a.destination_id, a.profile_id
    FROM changed c
    JOIN profiles_identifier i ON i.lookup = substring(c.digest FROM 1 FOR 16)
    JOIN segments_activated a ON a.profile_id = i.profile_id;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_mark_suppressed AFTER INSERT ON consent_suppression
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION segments_mark_suppressed();
"""
NOT_BARRED = """
DROP TRIGGER segments_mark_restricted ON profiles_profile;
DROP FUNCTION segments_mark_restricted();
DROP TRIGGER segments_mark_suppressed ON consent_suppression;
DROP FUNCTION segments_mark_suppressed();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("segments", "0006_destinations"),
        ("consent", "0005_disclosures"),
        ("profiles", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(MEMBERS, NO_MEMBERS),
        migrations.RunSQL(CONSENTS, NO_CONSENTS),
        migrations.RunSQL(BARRED, NOT_BARRED),
    ]
