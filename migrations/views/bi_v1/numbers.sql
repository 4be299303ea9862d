CREATE SCHEMA bi_v1;

COMMENT ON SCHEMA bi_v1 IS 'Campaigns, messages, events and replies for BI tools. A released view only gains columns; a change that breaks queries comes as bi_v2, beside this one. Times are UTC.';

-- The roles need not exist: then nobody but the owner of the schema and superusers sees numbers.
CREATE FUNCTION bi_v1.sees_numbers() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
    (
        SELECT pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')
        FROM pg_catalog.pg_roles AS r
        WHERE r.rolname = 'bi_reader_pii'
    ),
    false
);
COMMENT ON FUNCTION bi_v1.sees_numbers() IS 'Whether the current role may see telephone numbers: it is a member of bi_reader_pii.';

CREATE FUNCTION bi_v1.masked_number(number text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN length(number) > 3 THEN '***' || right(number, 3) ELSE left('***' || number, 3) END;
COMMENT ON FUNCTION bi_v1.masked_number(text) IS 'A telephone number of which only the last three digits can be read.';

CREATE FUNCTION bi_v1.shown_number(number text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN bi_v1.sees_numbers() THEN number ELSE bi_v1.masked_number(number) END;
COMMENT ON FUNCTION bi_v1.shown_number(text) IS 'A telephone number as the current role may see it: masked, unless it is a member of bi_reader_pii.';
