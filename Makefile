# make setup   what the other targets need; returns at once when nothing changed
# make demo    train, compress, generate, run and verify LeNet-5 on Fashion-MNIST
# make test    every test
# make bench   measure kernels, whole networks and examples on every emulated core, and compare with the recorded numbers

.PHONY: setup demo test bench
setup:
	@tools/setup.sh

demo: setup
	@.venv/bin/python tools/demo.py

test: setup
	@.venv/bin/python -m pytest -n 2

bench: setup
	@.venv/bin/python benchmarks/kernels.py
	@.venv/bin/python benchmarks/whole.py
	@.venv/bin/python benchmarks/footprint.py
