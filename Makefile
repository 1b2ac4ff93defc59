# The commands of docs/reference/commands.md. Each one first makes what it needs.

PYTHON ?= $(shell for python in python3.12 python3.11 python3 python; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& echo "$$python" && break; done)
RUN = .venv/bin/python
KEY = $(RUN) -c 'import secrets; print(secrets.token_urlsafe(48))'
# One more than the two cores of CI: many tests wait for workers, browsers and the database.
PYTEST_ARGS ?= -n 3
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help up stop snippet test bench lint lock python installed installed-dev installed-spark

help:
	@echo "make up      the whole product in the foreground (Ctrl-C stops it)"
	@echo "make snippet install the script of Segment's HTML snippet, to be served from here"
	@echo "make test    the whole test suite"
	@echo "make bench   the benchmarks, as a table"
	@echo "make lint    style, types, layers, templates, security, known vulnerabilities, migrations, deployment check"
	@echo "make lock    write the lock files in requirements/ anew (LOCK_ARGS=--upgrade: newest versions)"
	@echo "make installed-spark  what matching on a Spark cluster needs"
	@echo "make stop    stop embedded servers that were left running"

up: installed
	@CDP_ENV=$${CDP_ENV:-development} exec $(RUN) -m cdp.embedded up

stop: installed
	@$(RUN) -m cdp.embedded stop

# From npm and not from the repository: the script is Segment's (MIT).
snippet:
	@command -v npm >/dev/null || { \
		echo "npm is needed and was not found. Debian: apt-get install npm; macOS: brew install node"; exit 1; }
	@umask 022 && folder="$${CDP_SNIPPET_DIR:-$${CDP_DATA_DIR:-var}/snippet}" && mkdir -p "$$folder" \
		&& cp requirements/snippet/package.json requirements/snippet/package-lock.json "$$folder" \
		&& npm ci --prefix "$$folder" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null \
		&& echo "Installed in $$folder. It is served at /analytics.js/v1/WRITE_KEY/analytics.min.js"

test: installed-dev
	$(RUN) -m pytest $(PYTEST_ARGS)

bench: installed-dev
	$(RUN) -m tests.benchmarks $(BENCH_ARGS)

lint: installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy .
	.venv/bin/lint-imports
	.venv/bin/djlint --lint templates
	.venv/bin/hadolint Dockerfile
	.venv/bin/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive cdp profiles consent segments ingestion
	$(RUN) .ci/audit
	data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && \
		CDP_DATA_DIR=$$data $(RUN) manage.py makemigrations --check --dry-run
	CDP_ENV=production CDP_BASE_URL=https://cdp.example.org CDP_ALLOWED_HOSTS=cdp.example.org \
		CDP_SECRET_KEY=$$($(KEY)) CDP_SUPPRESSION_KEY=$$($(KEY)) \
		$(RUN) manage.py check --deploy --fail-level WARNING

# One resolution for every system and both Pythons, so that the same files install everywhere.
lock: installed-dev
	for part in base demo matching splink spark dev; do \
		.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
			--no-annotate --no-emit-index-url $(LOCK_ARGS) \
			--output-file requirements/$$part.txt requirements/$$part.in || exit 1; \
	done

python:
	@test -n "$(PYTHON)" || { \
		echo "Python 3.11 or 3.12 is needed and none was found. Debian: apt-get install python3 python3-venv;" \
			"macOS: brew install python@3.12. Or name one: make up PYTHON=/path/to/python3.12"; exit 1; }

installed: python
	@$(PYTHON) cdp/embedded/install.py base demo matching splink

installed-dev: python
	@$(PYTHON) cdp/embedded/install.py base demo matching splink dev

# Apart: half a gigabyte that only matching on a cluster needs (docs/how-to/match-on-spark.md), and its tests.
installed-spark: installed-dev
	@$(PYTHON) cdp/embedded/install.py spark
