"""Roles for analysts who ask in SQL: they read the views of bi_v1, and nothing else."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

#: A function, because a dump of the database carries neither roles nor the rights on the database
#: itself: `migrate` and `bi-user create` run it again, which changes nothing where all is done.
#: It returns the statements that the current role may not run.
GRANT_BI_ACCESS = """
CREATE FUNCTION grant_bi_access() RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_superuser CONSTANT boolean := (
        SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    owns_database CONSTANT boolean := (
        SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database());
    owns_public CONSTANT boolean := coalesce((
        SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public'), false);
    -- As the statements that revoke it from everybody, for who may not run them.
    locking CONSTANT text := (
        SELECT string_agg(oid::regprocedure::text, ', ' ORDER BY oid)
        FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace
            AND proname ~ '^pg_(try_)?advisory_(xact_)?lock'
    );
    name text;
    users text[];
    guests text[];
    statement text;
    may_run boolean;
    lacking text[] := '{}';
BEGIN
    -- GRANTs on one object at the same time fail with "tuple concurrently updated".
    PERFORM pg_advisory_xact_lock(7021004);

    FOREACH name IN ARRAY ARRAY['bi_reader', 'bi_reader_pii'] LOOP
        CONTINUE WHEN to_regrole(name) IS NOT NULL;
        statement := format('CREATE ROLE %I NOLOGIN', name);
        BEGIN
            EXECUTE statement;
        EXCEPTION
            -- Roles belong to the cluster, the lock to a database: another one was quicker.
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN lacking := lacking || statement;
        END;
    END LOOP;
    IF lacking <> '{}' THEN
        RAISE NOTICE 'There are no roles for analysts, and % may not create them', current_user
            USING HINT = 'An administrator runs: ' || array_to_string(lacking, '; ');
        RETURN lacking;
    END IF;

    GRANT USAGE ON SCHEMA bi_v1 TO bi_reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA bi_v1 TO bi_reader;
    REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA bi_v1 FROM PUBLIC;
    GRANT EXECUTE ON ALL ROUTINES IN SCHEMA bi_v1 TO bi_reader;
    ALTER DEFAULT PRIVILEGES IN SCHEMA bi_v1 GRANT SELECT ON TABLES TO bi_reader;
    ALTER DEFAULT PRIVILEGES IN SCHEMA bi_v1 GRANT EXECUTE ON ROUTINES TO bi_reader;
    ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC;

    -- From here on, what PostgreSQL grants to everybody. Whoever has rights on our tables keeps
    -- the others: the service need not run as the role that migrates.
    users := ARRAY(
        SELECT DISTINCT grantee::regrole::text
        FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
        WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p') AND grantee <> 0
    );
    FOR statement IN
        -- A view's functions are called by who asks, its tables are read by who owns the view.
        WITH RECURSIVE used (catalog, id) AS (
            SELECT 'pg_class'::regclass::oid, oid FROM pg_class
            WHERE relnamespace = to_regnamespace('bi_v1')
            UNION
            SELECT d.refclassid, d.refobjid
            FROM used AS u
            LEFT JOIN pg_rewrite AS r ON u.catalog = 'pg_class'::regclass AND r.ev_class = u.id
            JOIN pg_depend AS d
                ON (d.classid = u.catalog AND d.objid = u.id)
                OR (d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid)
            WHERE d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass)
        )
        SELECT format(action, oid::regprocedure)
        FROM pg_proc, LATERAL (
            SELECT 'REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC'
            UNION ALL
            SELECT 'GRANT EXECUTE ON ROUTINE %s TO ' || grantee FROM unnest(users) AS grantee
            UNION ALL
            SELECT 'GRANT EXECUTE ON ROUTINE %s TO bi_reader'
            WHERE EXISTS (
                SELECT FROM used AS u WHERE u.catalog = 'pg_proc'::regclass AND u.id = oid
            )
        ) AS actions (action)
        WHERE pronamespace = to_regnamespace('public')
            AND proowner = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user)
    LOOP
        EXECUTE statement;
    END LOOP;
    -- Whoever else has something to do here: what follows is taken from everybody, and some of it
    -- from the whole database, which others may share.
    guests := users || ARRAY(
        SELECT DISTINCT r.oid::regrole::text
        FROM pg_roles AS r
        WHERE NOT r.rolsuper AND NOT r.oid::regrole::text = ANY (users)
            AND r.rolname NOT IN ('bi_reader', 'bi_reader_pii')
            AND (
                r.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_monitor')
                OR EXISTS (
                    SELECT FROM pg_shdepend AS d
                    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
                        AND d.dbid = (
                            SELECT oid FROM pg_database WHERE datname = current_database())
                )
                OR EXISTS (
                    SELECT FROM pg_stat_activity AS a
                    WHERE a.usesysid = r.oid AND a.datname = current_database()
                        AND NOT pg_has_role(r.oid, 'bi_reader', 'USAGE')
                )
            )
    );
    -- What is granted comes before what is revoked: run by hand, in this order, nothing stops.
    FOR may_run, statement IN
        SELECT owns_public, 'GRANT USAGE ON SCHEMA public TO ' || array_to_string(users, ', ')
        WHERE users <> '{}'
        UNION ALL
        SELECT owns_public, 'REVOKE ALL ON SCHEMA public FROM PUBLIC'
        UNION ALL
        SELECT owns_database, format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %s',
            current_database(), array_to_string(guests, ', '))
        UNION ALL
        -- A login of another database of the cluster is a member of bi_reader as well.
        SELECT owns_database, format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC',
            current_database())
        UNION ALL
        -- A session can give up being read-only, and fill the disk with these.
        SELECT is_superuser, 'REVOKE EXECUTE ON FUNCTION pg_catalog.lo_creat(integer), '
            'pg_catalog.lo_create(oid), pg_catalog.lo_from_bytea(oid, bytea), '
            'pg_catalog.pg_logical_emit_message(boolean, text, text, boolean), '
            'pg_catalog.pg_logical_emit_message(boolean, text, bytea, boolean) FROM PUBLIC'
        UNION ALL
        -- The table of locks is one for the whole cluster: who fills it stops all writing.
        SELECT is_superuser, format('GRANT EXECUTE ON FUNCTION %s TO %s',
            locking, array_to_string(guests, ', '))
        UNION ALL
        SELECT is_superuser, format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', locking)
    LOOP
        IF may_run THEN
            EXECUTE statement;
        ELSE
            RAISE NOTICE '% may not run: %', current_user, statement;
            lacking := lacking || statement;
        END IF;
    END LOOP;
    RETURN lacking;
END
$$
"""

#: The roles stay: other databases of the cluster may use them, and logins are their members.
REVOKE_BI_ACCESS = """
DO $$
BEGIN
    ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON ROUTINES TO PUBLIC;
    IF to_regrole('bi_reader') IS NOT NULL THEN
        ALTER DEFAULT PRIVILEGES IN SCHEMA bi_v1 REVOKE SELECT ON TABLES FROM bi_reader;
        ALTER DEFAULT PRIVILEGES IN SCHEMA bi_v1 REVOKE EXECUTE ON ROUTINES FROM bi_reader;
        REVOKE ALL ON ALL ROUTINES IN SCHEMA bi_v1 FROM bi_reader;
        REVOKE ALL ON ALL TABLES IN SCHEMA bi_v1 FROM bi_reader;
        REVOKE ALL ON SCHEMA bi_v1 FROM bi_reader;
    END IF;
    IF (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public') THEN
        GRANT USAGE ON SCHEMA public TO PUBLIC;
    END IF;
    IF (
        SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()
    ) THEN
        EXECUTE format(
            'GRANT CONNECT, TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
    END IF;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea),
            pg_logical_emit_message(boolean, text, text, boolean),
            pg_logical_emit_message(boolean, text, bytea, boolean) TO PUBLIC;
        EXECUTE (
            SELECT format(
                'GRANT EXECUTE ON FUNCTION %s TO PUBLIC', string_agg(oid::regprocedure::text, ', '))
            FROM pg_proc
            WHERE pronamespace = 'pg_catalog'::regnamespace
                AND proname ~ '^pg_(try_)?advisory_(xact_)?lock'
        );
    END IF;
END
$$
"""

UP = (
    GRANT_BI_ACCESS,
    "REVOKE EXECUTE ON FUNCTION grant_bi_access() FROM PUBLIC",
    "SELECT grant_bi_access()",
)
DOWN = (REVOKE_BI_ACCESS, "DROP FUNCTION grant_bi_access()")


def upgrade() -> None:
    for statement in UP:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.get_bind().exec_driver_sql(statement)
