# The verbs of the project, for people and CI alike. Each begins with `setup`, which does nothing when nothing changed.
PYTHON ?= python3
VENV := .venv/bin
ONLY ?=
RECORDS ?=
HUB_DATA_DIR ?= var
export HUB_DATA_DIR

.PHONY: setup run test check prove bench

setup:
	@$(PYTHON) tools/setup.py

# The hub with demo organisations, people and virtual devices. RECORDS=dir: the devices play these WFDB records.
run: setup
	@exec $(VENV)/hub serve --demo $(if $(RECORDS),--records "$(RECORDS)")

test: setup
	@unset HUB_DATA_DIR; $(VENV)/python -m pytest --durations=10 --numprocesses=2 --dist=loadfile

check: setup
	@unset HUB_DATA_DIR; \
	$(VENV)/ruff format --check . && $(VENV)/ruff check . && $(VENV)/mypy && \
	$(VENV)/python build_web.py npm run check && \
	$(VENV)/python -m pytest -q tests/test_architecture.py tests/web

# The same fault, fuzz, journey and load tests with full counts; ONLY=name for one.
prove: setup
	@unset HUB_DATA_DIR; $(VENV)/python -m tests.prove $(ONLY)

# Benchmarks beside their peers; ONLY=name for one.
bench: setup
	@unset HUB_DATA_DIR; $(VENV)/python -m bench $(ONLY)
