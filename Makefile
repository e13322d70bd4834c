# One word a habit; what it does is in scripts/.
.PHONY: run test reliability soak check bench bench-quick doc lock

run: ; @PROMISE_PUB_SERVER_PORT="$(or $(PORT),$(PROMISE_PUB_SERVER_PORT))" exec scripts/run $(ARGS)
test: ; @exec scripts/test $(ARGS)
reliability: ; @exec scripts/test -n 0 tests/faults --reliability docs/reliability.md $(ARGS)
soak: ; @exec scripts/test -n 0 tests/faults --soak --timeout 0 --reliability docs/reliability.md $(ARGS)
check: ; @exec scripts/check
bench: ; @exec scripts/bench $(ARGS)
bench-quick: ; @exec scripts/bench --quick $(ARGS)
doc: ; @exec scripts/doc
lock: ; @exec scripts/lock $(ARGS)
