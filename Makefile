# What there is to do; everything happens in .venv, which is made when it is first needed.

VENV := .venv
IN_VENV := $(VENV)/bin/python
PIP := $(IN_VENV) -m pip --disable-pip-version-check --quiet
# The first of these that is new enough and can make a virtual environment is taken.
PYTHON := python3 python3.14 python3.13 python3.12 python3.11 python
# Further words for the command: make test ARGS="-k uri", make bench ARGS="--only get".
ARGS :=

.PHONY: help run test bench load fuzz check-peers clean

help:
	@echo "make run     the first server of the tutorials, on http://127.0.0.1:4040/"
	@echo "make test    the tests, and what of the code they leave out"
	@echo "make bench   how fast it is, beside other servers and clients"
	@echo "make load    thousands of connections, lost clients, too few descriptors (3 minutes)"
	@echo "make fuzz    damaged requests for as long as told: ARGS=\"--seconds 3600\""
	@echo "make check-peers   what python -m blockingio.check finds at other servers, for README.rst"
	@echo "make clean   removes .venv and all that was made"
	@echo "PYTHON=... takes that Python for .venv; ARGS=... goes to the command."

run: $(VENV)/installed
	@$(IN_VENV) tutorials/hello_world_server.py

test: $(VENV)/installed-for-tests
	@$(IN_VENV) -m coverage erase
	@$(IN_VENV) -m tests $(ARGS)
	@$(IN_VENV) -m coverage combine --quiet
	@$(IN_VENV) -m coverage report

bench: $(VENV)/installed-for-tests
	@$(IN_VENV) -m tests.benchmarks $(ARGS)

load: $(VENV)/installed-for-tests
	@$(IN_VENV) -m tests.load $(ARGS)

fuzz: $(VENV)/installed-for-tests
	@$(IN_VENV) -m tests.conformance.fuzz $(ARGS)

# Those of them that are to be checked are installed by hand: .venv/bin/pip install waitress gunicorn aiohttp uvicorn flask
check-peers: $(VENV)/installed-for-tests
	@$(IN_VENV) -m tests.check_peers $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .pytest_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The files made last say that a step is done; one that was interrupted is done again.

$(VENV)/made:
	@for python in $(PYTHON); do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$("$$python" --version)"; \
			"$$python" -m venv --clear $(VENV) && touch $@; exit; \
		fi; \
	done; \
	echo "Found no Python 3.11 or later that can make a virtual environment; tried $(PYTHON)." >&2; \
	echo "Debian and Ubuntu keep that part in a package of its own: apt-get install python3-venv" >&2; \
	exit 1

$(VENV)/installed: $(VENV)/made setup.cfg pyproject.toml
	@echo "Installing blockingio in $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-for-tests: $(VENV)/made setup.cfg pyproject.toml
	@echo "Installing blockingio and what its tests need in $(VENV)"
	@$(PIP) install --editable '.[test]'
	@touch $(VENV)/installed $@
