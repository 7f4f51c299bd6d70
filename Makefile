# SPDX-License-Identifier: GPL-2.0-or-later
# The verbs of this project. Each sets up what it needs, into a cache outside
# the checkout; what is built here goes to build/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# which kernels a verb is for: names of ci/kernels.toml
KERNEL ?=
all_kernels = $(shell python3 -m emulation kernels list)
vm_kernels = $(or $(patsubst all,$(all_kernels),$(KERNEL)),6.1 6.12)
one_kernel = $(or $(KERNEL),6.12)

PREFIX ?= /usr/local
ARGS ?=

# of a fuzzing run: for how long, in seconds, how many calls at least, and which
T ?= 60
CALLS ?= 0
SEED ?= 1

# the Python environment, made on first use
venv = $(shell ci/setup --print-venv)
python = $(venv)/bin/python

.PHONY: help
help: ## print the verbs
	@echo "usage: make VERB [KERNEL=NAME], of ci/kernels.toml"
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: check
check: ## lint and unit tests: no root, no VM, under a minute
	@ci/setup check
	@$(python) -m ci.check $(ARGS)

.PHONY: analyze
analyze: ## coccinelle's rules for the kernel and clang's analyzer, over all C: some minutes
	@ci/setup analyze
	@$(python) -m ci.lint cocci clang-modules clang-lib

.PHONY: modules
modules: ## build ntzc.ko and ntzc_igb.ko for a kernel of the list
	@ci/setup modules
	@$(python) -m emulation modules $(one_kernel)

.PHONY: lib
lib: ## build the C library and its samples, in build/lib
	@ci/setup lib
	@$(MAKE) --no-print-directory -C libntzc O=$(CURDIR)/build/lib

.PHONY: python
python: lib ## build the Python client, in build/python
	@ci/setup python
	@$(python) -m ci.build_python

.PHONY: demo
demo: python ## capture and send in a VM, and compare every byte
	@ci/setup vm
	@$(python) -m tests.demo $(one_kernel)

.PHONY: vm-test
vm-test: python ## the whole test suite, unit tests and a VM for each kernel
	@ci/setup check vm
	@$(python) -m ci.vm_test "$(vm_kernels)" $(ARGS)

.PHONY: mutants
mutants: python ## break the modules on purpose, and see the suite notice
	@ci/setup check vm
	@$(python) -m tests.mutants $(ARGS)

.PHONY: fuzz
fuzz: ## fuzz the ABI in a VM: T=SECONDS CALLS=N SEED=N
	@ci/setup vm kernel
	@$(python) -m tests.fuzz $(or $(KERNEL),debug) --seconds $(T) --calls $(CALLS) --seed $(SEED) \
		$(ARGS)

.PHONY: vm-shell
vm-shell: python ## a shell in a VM with two cards and everything loaded
	@ci/setup vm
	@$(python) -m emulation shell $(one_kernel)

.PHONY: insn
insn: python ## guest instructions per packet, in a VM
	@ci/setup vm
	@$(python) -m bench.insn $(one_kernel) $(ARGS)

.PHONY: insn-check
insn-check: python ## whether the hot path has grown by over 3 % of bench/baseline.json
	@ci/setup vm
	@$(python) -m bench.insn $(one_kernel) --check

.PHONY: insn-profile
insn-profile: python ## the same of the hot path, by function
	@ci/setup vm
	@$(python) -m bench.insn $(one_kernel) rx-rings tx-rings forward-rings --profile

.PHONY: bench
bench: python ## NTZC and its peers in a VM, and build/bench/report.html
	@ci/setup bench
	@$(python) -m bench.suite $(or $(KERNEL),newest) $(ARGS)
	@$(python) -m bench.report

.PHONY: bench-quick
bench-quick: ## the same with two frame lengths, in some minutes
	@$(MAKE) --no-print-directory bench ARGS="--quick $(ARGS)"

.PHONY: install
install: ## on this machine: modules (DKMS), udev rule, C library, Python client
	@ci/install $(PREFIX)

.PHONY: clean
clean: ## remove what was built here; the cache stays
	rm -rf build
