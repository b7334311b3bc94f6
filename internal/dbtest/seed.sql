-- Makes a migrated database one that can be brought back to this state by dbtest_seed.reset().
CREATE SCHEMA dbtest_seed;

-- what exists: a test that changes this has spoilt its clone
CREATE FUNCTION dbtest_seed.fingerprint() RETURNS text LANGUAGE sql AS $$
SELECT md5(string_agg(x, ',' ORDER BY x)) FROM (
    SELECT c.relname || ':' || c.relkind::text || ':' || coalesce(string_agg(a.attname || ' ' || a.atttypid || a.attnotnull, ',' ORDER BY a.attnum), '')
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
    WHERE c.relnamespace = 'public'::regnamespace
    GROUP BY c.oid, c.relname, c.relkind) AS rel (x)
$$;

CREATE TABLE dbtest_seed.tables (name regclass PRIMARY KEY, seed regclass);
CREATE TABLE dbtest_seed.sequences (name regclass PRIMARY KEY, last_value bigint NOT NULL, is_called boolean NOT NULL);
CREATE TABLE dbtest_seed.state (fingerprint text NOT NULL);

DO $$
DECLARE
    r      record;
    filled boolean;
BEGIN
    FOR r IN SELECT oid::regclass AS rel, relname FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', r.rel) INTO filled;
        IF filled THEN
            EXECUTE format('CREATE TABLE dbtest_seed.%I AS TABLE %s', 'rows_' || r.relname, r.rel);
        END IF;
        INSERT INTO dbtest_seed.tables VALUES (r.rel,
            CASE WHEN filled THEN format('dbtest_seed.%I', 'rows_' || r.relname)::regclass END);
    END LOOP;
    FOR r IN SELECT oid::regclass AS rel FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' LOOP
        EXECUTE format('INSERT INTO dbtest_seed.sequences SELECT %L::regclass, last_value, is_called FROM %s', r.rel, r.rel);
    END LOOP;
    INSERT INTO dbtest_seed.state VALUES (dbtest_seed.fingerprint());
END $$;

-- session_replication_role: no foreign keys are checked, so the order does not matter, and no trigger runs, so even the
-- audit lets go of its rows. Only a superuser may set it.
CREATE FUNCTION dbtest_seed.reset() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE
    r record;
BEGIN
    IF dbtest_seed.fingerprint() IS DISTINCT FROM (SELECT fingerprint FROM dbtest_seed.state) THEN
        RAISE EXCEPTION 'the schema is not that of the template';
    END IF;
    FOR r IN SELECT name, seed FROM dbtest_seed.tables LOOP
        EXECUTE format('DELETE FROM %s', r.name);
        IF r.seed IS NOT NULL THEN
            EXECUTE format('INSERT INTO %s OVERRIDING SYSTEM VALUE SELECT * FROM %s', r.name, r.seed);
        END IF;
    END LOOP;
    PERFORM setval(name, last_value, is_called) FROM dbtest_seed.sequences;
END $$;
