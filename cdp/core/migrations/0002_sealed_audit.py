"""Refuse changes of the audit trail in the database itself: sealing is the one update, deletion never happens."""

from django.db import migrations

GUARD = """
CREATE FUNCTION core_audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'audit entries are never deleted' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF OLD.seq IS NOT NULL OR NEW.seq IS NULL OR NEW.hash IS NULL
        OR (NEW.id, NEW.at, NEW.actor, NEW.action, NEW.object, NEW.detail)
            IS DISTINCT FROM (OLD.id, OLD.at, OLD.actor, OLD.action, OLD.object, OLD.detail)
    THEN
        RAISE EXCEPTION 'audit entries are never changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER core_audit_guard BEFORE UPDATE OR DELETE ON core_auditentry
    FOR EACH ROW EXECUTE FUNCTION core_audit_guard();

CREATE FUNCTION core_audit_head_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'heads of the audit trail are never changed' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER core_audit_head_guard BEFORE UPDATE OR DELETE ON core_audithead
    FOR EACH ROW EXECUTE FUNCTION core_audit_head_guard();
"""

UNGUARD = """
DROP TRIGGER core_audit_guard ON core_auditentry;
DROP FUNCTION core_audit_guard();
DROP TRIGGER core_audit_head_guard ON core_audithead;
DROP FUNCTION core_audit_head_guard();
"""


class Migration(migrations.Migration):
    """The guards."""

    dependencies = [("core", "0001_initial")]

    operations = [migrations.RunSQL(GUARD, UNGUARD)]
