CREATE SCHEMA bi_v1;

COMMENT ON SCHEMA bi_v1 IS 'Campaigns, messages, events and replies for BI tools. A released view only gains columns; a change that breaks queries comes as bi_v2, beside this one. Times are UTC. Telephone numbers are masked, and in texts what looks like one, unless the role is a member of bi_reader_pii; ids are shown as they are.';

-- The views are no security barriers: they hide no rows, and a condition of a query is given the
-- masked values only. As barriers they could not be joined by an index.

-- Where the role does not exist, numbers are masked for every role.
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
RETURN CASE
    WHEN is_canonical_number(number) THEN '***' || right(number, 3)
    WHEN length(number) > 3 THEN '***' || right(coalesce(canonical_number(number), number), 3)
    ELSE left('***' || number, 3)
END;
COMMENT ON FUNCTION bi_v1.masked_number(text) IS 'A telephone number of which only the last three digits can be read.';

CREATE FUNCTION bi_v1.shown_number(number text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN bi_v1.sees_numbers() THEN number ELSE bi_v1.masked_number(number) END;
COMMENT ON FUNCTION bi_v1.shown_number(text) IS 'A telephone number as the current role may see it: masked, unless it is a member of bi_reader_pii.';

-- *shape* as a pattern: D is a digit of any script, P a plus, and G all that may be between two digits of
-- a number in a text: what may separate them, or a character that could not be stored.
CREATE FUNCTION bi_number_pattern(shape text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN replace(
    replace(
        replace(shape, 'P', '[' || number_pluses() || ']'), 'D', '[' || number_digits() || ']'
    ),
    'G',
    '[' || number_separators() || '\ufffd]*'
);

-- Seven digits or more, with a sign. Three steps, as the last one costs much: most texts have no such
-- thing, and few have a date like 2026-03-30, which is none.
CREATE FUNCTION bi_v1.masked_text(given text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN octet_length(given) < 7 OR given !~ bi_number_pattern('D(?:GD){6}') THEN given
    WHEN given !~ '(19|20)[0-9]{2}-?[01][0-9]-?[0-3][0-9]'
    THEN regexp_replace(given, bi_number_pattern('P?(?:DG){4,}(DGDGD)'), '***\1', 'g')
    ELSE regexp_replace(
        given,
        bi_number_pattern(
            '(?<!D)(?!(?:19|20)[0-9]{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12][0-9]|3[01])(?!D))'
                || 'P?(?:DG){4,}(DGDGD)'
        ),
        '***\1',
        'g'
    )
END;
COMMENT ON FUNCTION bi_v1.masked_text(text) IS 'A text in which of everything that looks like a telephone number only the last three digits can be read.';

CREATE FUNCTION bi_v1.shown_text(given text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN bi_v1.sees_numbers() THEN given ELSE bi_v1.masked_text(given) END;
COMMENT ON FUNCTION bi_v1.shown_text(text) IS 'A text as the current role may see it: what looks like a telephone number is masked, unless it is a member of bi_reader_pii.';

-- A reply without its case, its accents as they are, and without what is around its letters.
CREATE FUNCTION bi_word(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN btrim(upper(given COLLATE pg_unicode_fast), U&' \0009\000A\000D\00A0.,!?;:"''()');

-- What stands for a person where the number is masked: the same in all views, and with another secret, that
-- of another database, something else. Numbers are few enough to be tried one by one without a secret.
CREATE FUNCTION bi_recipient_key(secret bytea, number text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(encode(sha256(secret || convert_to(number, 'UTF8')), 'hex'), 32);

-- What the role that asks may see, and what the views need of the settings. A view names it in subqueries of
-- its own, which are answered once for each query and with the rights of the views' owner.
CREATE VIEW bi_viewer AS
SELECT
    bi_v1.sees_numbers() OR NOT mask_labels AS sees_labels,
    recipient_secret,
    currency
FROM bi_settings;
