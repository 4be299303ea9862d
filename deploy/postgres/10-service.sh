#!/bin/sh
# Run once by the PostgreSQL image, when its volume is empty: a role of the service's own, which is
# no superuser. It owns its database, so that `migrate` can make schemas in it; CREATEROLE is for
# the logins of analysts (`routee-receiver bi-user create`) and can be left out without them.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
\getenv password POSTGRES_SERVICE_PASSWORD
CREATE ROLE receiver LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE receiver OWNER receiver;
REVOKE ALL ON DATABASE receiver FROM PUBLIC;
GRANT pg_read_all_stats TO receiver;
SQL
