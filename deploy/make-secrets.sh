#!/bin/sh
# Write the secrets that docker-compose.yml mounts into the folder "secrets" beside it. A secret that
# is there already stays as it is. To keep passwords of an older .env: set -a; . ./.env; set +a
set -eu
cd "$(dirname "$0")/.."

mkdir -p secrets
chmod 700 secrets

# write NAME TEXT: the containers' users read the files, and the folder keeps others out.
write() {
    [ -e "secrets/$1" ] && return
    printf '%s\n' "$2" > "secrets/$1"
    chmod 644 "secrets/$1"
}

random() {
    od -A n -t x1 -N 32 /dev/urandom | tr -d ' \n'
}

write secret_key "${CHRONOS_SECRET_KEY:-$(random)}"
write postgres_password "${POSTGRES_PASSWORD:-$(random)}"
write redis_password "${REDIS_PASSWORD:-$(random)}"
write database_url "postgresql://chronos:$(cat secrets/postgres_password)@postgres:5432/chronos"
write redis_url "redis://:$(cat secrets/redis_password)@redis:6379/0"
