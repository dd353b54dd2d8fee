# Lists the recipes.
default:
    @just --list

# Runs all that a change has to pass, as CI does, and installs what it needs.
check:
    .ci/run

# Builds the release binary: target/release/lightclient.
build:
    cargo build --locked --release

# Runs the tests, or those whose names contain FILTER.
test *FILTER:
    cargo test --locked {{ FILTER }}

# Runs the whole-program benchmarks: `just bench --list` names them. `cargo bench` has those of single parts.
bench *ARGS:
    benches/run {{ ARGS }}

# Runs clippy on everything, and fails on warnings.
lint:
    cargo clippy --locked --all-targets -- -D warnings

# Builds the documentation, with that of private items, and fails on warnings.
doc $RUSTDOCFLAGS="-D warnings":
    cargo doc --locked --no-deps --document-private-items

# Formats the code.
fmt:
    cargo fmt

# Prints the figures of the source: its size, its public items, circles of files.
figures:
    benches/figures
