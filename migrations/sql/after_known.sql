-- Gives *fresh*, the number of rows that a statement has stored. If that is 0, everything was known already, and the
-- transaction may have written nothing. Its commit would not wait for a synchronous standby then, although what is
-- known may be here alone: its own commit was not awaited to the end, or this server was started again meanwhile.
-- So a few bytes of WAL are written: this commit comes after those that it has seen, and a standby that has it has
-- them too. (An upsert writes WAL even if it changes nothing, as it locks its row.)
CREATE FUNCTION after_known(fresh bigint) RETURNS bigint LANGUAGE sql
RETURN CASE
    WHEN fresh > 0 THEN fresh
    WHEN pg_logical_emit_message(true, 'routee-receiver', 'known') IS NOT NULL THEN 0
END;
