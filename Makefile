# Two commands for newcomers: `make demo` and `make test`. The rest is for development; `make help` lists it.
PYTHON ?= python3
core:  ## build the compiled core in place (development)
	@cmake -S . -B build/dev -DCMAKE_BUILD_TYPE=Release -DPython_EXECUTABLE=$$(command -v $(PYTHON)) $(CMAKE_ARGS) >/dev/null
	@cmake --build build/dev --parallel 2
	@cmake --install build/dev --component python --prefix . >/dev/null
