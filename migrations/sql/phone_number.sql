-- Telephone numbers: the same as app/domain/phone_number.py, which explains it; tests compare the two.

-- Parts of patterns, to be put between [ and ].
CREATE FUNCTION number_digits() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN
    '\u0030-\u0039\u0660-\u0669\u06f0-\u06f9\u07c0-\u07c9\u0966-\u096f\u09e6-\u09ef\u0a66-\u0a6f\u0ae6-\u0aef'
    || '\u0b66-\u0b6f\u0be6-\u0bef\u0c66-\u0c6f\u0ce6-\u0cef\u0d66-\u0d6f\u0de6-\u0def\u0e50-\u0e59\u0ed0-\u0ed9'
    || '\u0f20-\u0f29\u1040-\u1049\u1090-\u1099\u17e0-\u17e9\u1810-\u1819\u1946-\u194f\u19d0-\u19d9\u1a80-\u1a89'
    || '\u1a90-\u1a99\u1b50-\u1b59\u1bb0-\u1bb9\u1c40-\u1c49\u1c50-\u1c59\ua620-\ua629\ua8d0-\ua8d9\ua900-\ua909'
    || '\ua9d0-\ua9d9\ua9f0-\ua9f9\uaa50-\uaa59\uabf0-\uabf9\uff10-\uff19\U000104a0-\U000104a9'
    || '\U00010d30-\U00010d39\U00011066-\U0001106f\U000110f0-\U000110f9\U00011136-\U0001113f'
    || '\U000111d0-\U000111d9\U000112f0-\U000112f9\U00011450-\U00011459\U000114d0-\U000114d9'
    || '\U00011650-\U00011659\U000116c0-\U000116c9\U00011730-\U00011739\U000118e0-\U000118e9'
    || '\U00011950-\U00011959\U00011c50-\U00011c59\U00011d50-\U00011d59\U00011da0-\U00011da9'
    || '\U00016a60-\U00016a69\U00016ac0-\U00016ac9\U00016b50-\U00016b59\U0001d7ce-\U0001d7ff'
    || '\U0001e140-\U0001e149\U0001e2f0-\U0001e2f9\U0001e950-\U0001e959\U0001fbf0-\U0001fbf9';

CREATE FUNCTION number_margins() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN
    '\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000'
    || '\u0001-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u115f\u1160'
    || '\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20e3\u3164\ufe00-\ufe0f\ufeff\uffa0'
    || '\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001-\U000e01ef';

CREATE FUNCTION number_leading() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN number_margins()
    || '\u0028\u003c\u005b\u007b\u3010\ufe59\uff08\uff3b\uff5b';

CREATE FUNCTION number_separators() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN number_leading()
    || '\u002d\u02d7\u058a\u05be\u1400\u1806\u2010-\u2015\u2043\u207b\u208b\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40'
    || '\u2e5d\u301c\u3030\u30a0\u30fc\ufe31\ufe32\ufe58\ufe63\uff0d\uff5e\uff70\U00010ead\u002e\u00b7\u2022'
    || '\u2024\u2027\u2219\u22c5\u30fb\ufe52\uff0e\uff61\uff65\u0029\u003e\u005d\u007d\u3011\ufe5a\uff09\uff3d'
    || '\uff5d\u002f\u005c\u2044\u2215\u2571\u29f8\uff0f\uff3c';

CREATE FUNCTION number_pluses() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '\u002b\u207a\u208a\u2795\ufe62\uff0b';

-- The digits of all other scripts, each from 0 to 9.
CREATE FUNCTION digits_of_other_scripts() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT string_agg(chr(zero + digit), '' ORDER BY zero, digit)
    FROM unnest(ARRAY[
        0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
        0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
        0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30,
        0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0,
        0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec,
        0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0
    ]) AS zero, generate_series(0, 9) AS digit
);

CREATE FUNCTION with_ascii_digits(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN octet_length(given) = length(given) OR given !~ ('[' || number_digits() || ']') THEN given
    ELSE translate(given, digits_of_other_scripts(), repeat('0123456789', length(digits_of_other_scripts()) / 10))
END;

CREATE FUNCTION is_canonical_number(given text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN given ~ '^\+(?!00)[0-9]{6,15}$';

-- The digits of parts[1] . parts[2] * 10 ^ parts[3], or parts[4]; NULL if it is no whole number.
CREATE FUNCTION digits_of_scientific(parts text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT CASE
        WHEN parts[4] IS NOT NULL THEN parts[4]
        WHEN zeros >= 0 THEN ltrim(digits, '0') || repeat('0', zeros)
        WHEN right(digits, -zeros) ~ '^0*$' THEN ltrim(left(digits, length(digits) + zeros), '0')
    END
    FROM (
        SELECT parts[1] || coalesce(parts[2], '') AS digits,
            parts[3]::integer - coalesce(length(parts[2]), 0) AS zeros
    ) AS shifted
);

-- *spelt* has digits of ASCII alone.
CREATE FUNCTION number_of_spelling(spelt text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT CASE WHEN is_canonical_number(found) THEN found END
    FROM (
        SELECT '+' || regexp_replace(
            CASE
                WHEN spelt ~ scientific THEN digits_of_scientific(regexp_match(spelt, scientific))
                WHEN spelt ~ (
                    '^[' || number_leading() || ']*(?:[Tt][Ee][Ll][' || number_margins() || ']*:['
                    || number_leading() || ']*)?[' || number_pluses() || ']?[' || number_leading()
                    || ']*[0-9](?:[' || number_separators() || ']*[0-9]){5,16}[' || number_separators()
                    || ']*(?:;(?![Pp][Hh][Oo][Nn][Ee])[^;]*)*$'
                ) THEN regexp_replace(split_part(spelt, ';', 1), '[^0-9]', '', 'g')
            END,
            '^00', ''
        ) AS found
        FROM (
            SELECT '^[' || number_margins() || ']*[' || number_pluses() || ']?'
                || '(?:([0-9]{1,15})(?:[.,]([0-9]{0,20}))?[Ee][+]?([0-9]{1,2})|([0-9]{6,15})[.,]00?)'
                || '[' || number_margins() || ']*$' AS scientific
        ) AS patterns
    ) AS numbers
);

-- The telephone number that a text spells: `+` and 6 to 15 digits; NULL if it spells none.
CREATE FUNCTION canonical_number(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN is_canonical_number(given) THEN given
    WHEN length(given) <= 128 THEN number_of_spelling(with_ascii_digits(given))
END;

-- The better of two spellings that were reported for one recipient: a telephone number in its one
-- spelling, else the lesser one. Usually they are the same.
CREATE FUNCTION better_number(one text, other text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN one = other OR one IS NULL OR other IS NULL THEN coalesce(one, other)
    WHEN is_canonical_number(one) = is_canonical_number(other) THEN LEAST(one COLLATE "C", other COLLATE "C")
    WHEN is_canonical_number(one) THEN one
    ELSE other
END;

-- As an aggregate must call it: not for the first value, nor for a NULL.
CREATE FUNCTION better_of_two_numbers(one text, other text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN better_number(one, other);

CREATE AGGREGATE best_number(text) (
    SFUNC = better_of_two_numbers, STYPE = text, COMBINEFUNC = better_of_two_numbers, PARALLEL = SAFE
);
