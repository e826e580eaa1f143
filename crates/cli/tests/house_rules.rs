//! The house rules of ARCHITECTURE.md, held against the source as text.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The code of a file: before its tests, without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_module_uses_only_modules_above_it_in_lib_rs() {
    for name in ["levelhead", "lab"] {
        let folder = root().join("crates").join(name).join("src");
        let list = fs::read_to_string(folder.join("lib.rs")).unwrap();
        let order: Vec<&str> = list
            .lines()
            .filter_map(|line| line.strip_prefix("pub mod ").or(line.strip_prefix("mod ")))
            .map(|line| line.trim_end_matches(';'))
            .collect();
        assert!(order.len() > 5, "{name} lists its modules in lib.rs");
        for path in sources(&folder) {
            let module = path.strip_prefix(&folder).unwrap().iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
            let Some(own) = order.iter().position(|m| *m == module) else { continue };
            for used in code(&path).split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let at = order.iter().position(|m| *m == used);
                assert!(at.is_none_or(|at| at <= own), "{name}: {module} uses {used}, which stands below it in lib.rs");
            }
        }
    }
}

#[test]
fn crates_point_one_way() {
    let rows: [(&str, &[&str]); 2] = [
        ("levelhead", &["levelhead-lab", "levelhead-cli", "clap", "rayon", "csv", "parquet", "tokio", "rand"]),
        ("lab", &["levelhead-cli", "clap", "indicatif", "comfy-table", "ctrlc"]),
    ];
    for (name, forbidden) in rows {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        for dependency in forbidden {
            let is_it = |line: &str| line.starts_with(&format!("{dependency}.")) || line.starts_with(&format!("{dependency} "));
            assert!(!manifest.lines().any(is_it), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn nothing_below_the_command_reads_the_environment_or_exits() {
    for name in ["levelhead", "lab"] {
        for path in sources(&root().join("crates").join(name).join("src")) {
            let text = code(&path);
            for forbidden in ["std::env::", "process::exit", "println!(", "SystemTime"] {
                assert!(!text.contains(forbidden), "{} holds {forbidden}", path.display());
            }
        }
    }
}

#[test]
fn nothing_uses_a_network_but_the_client_of_the_model() {
    for name in ["levelhead", "lab", "cli"] {
        let folder = root().join("crates").join(name).join("src");
        for path in sources(&folder).into_iter().filter(|path| !path.starts_with(folder.join("llm"))) {
            let text = code(&path);
            assert!(!text.contains("ureq::") && !text.contains("std::net::"), "{}", path.display());
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for path in sources(&root().join("crates")) {
        let n = fs::read_to_string(&path).unwrap().lines().count();
        assert!(n <= 420, "{} has {n} lines: think of two files", path.display());
    }
}
