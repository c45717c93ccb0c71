//! No two files import each other, directly or indirectly: one of them can always be read without
//! the other (ARCHITECTURE.md).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// The crates that are checked, by the directory of their root.
const CRATES: [&str; 5] =
    ["src", "benches/micro", "benches/service", "migration/src", "verifiers/rust/src"];

/// The modules of `src/domain` and `src/http` in order: each module may import those before it.
const ORDERS: [(&str, &[&str]); 2] = [
    (
        "domain",
        &[
            "email",
            "email_folding",
            "granted",
            "id",
            "language",
            "network",
            "secret",
            "outbox",
            "audit",
            "keys",
            "repeated_form",
            "attempt_limit",
            "email_challenge",
            "mail",
            "password",
            "token",
            "status",
            "session",
            "pending_sign_up",
            "email_verification",
            "invite",
            "sign_up_policy",
            "account",
            "profile",
            "refresh",
            "account_data",
            "administration",
            "operator_changes",
            "login_report",
            "import",
            "export",
            "oauth",
            "password_reset",
            "forgotten_password",
            "reauthentication",
            "email_change",
            "email_confirmation",
            "restore",
        ],
    ),
    (
        "http",
        &[
            "body_limit",
            "browser_cookie",
            "document",
            "form",
            "paths",
            "rate_limit",
            "readiness",
            "redirect",
            "request_context",
            "request_language",
            "texts",
            "user_agent",
            "branding",
            "error",
            "app",
            "cors",
            "json",
            "trace",
            "endpoint",
            "audited_failures",
            "origin",
            "bearer",
            "api",
            "openapi",
            "pages",
            "oauth",
            "documents",
            "probes",
            "service",
            "status_lists",
        ],
    ),
];

/// The path of a module from the root of its crate. The path of the root is empty.
type Module = Vec<String>;

/// The files of a crate: the names that each module uses and re-exports.
#[derive(Default)]
struct Crate {
    files: BTreeMap<Module, Names>,
}

/// The names in one file. Paths start at the root of the crate.
#[derive(Default)]
struct Names {
    used: BTreeSet<Vec<String>>,
    exported: BTreeMap<String, Vec<String>>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(root, &[], &mut files);
        let modules: BTreeSet<Module> = files.keys().cloned().collect();
        let read = |(module, text): (Module, String)| {
            let file = syn::parse_file(&text).unwrap();
            let mut reader = Reader { module: &module, modules: &modules, names: Names::default() };
            reader.visit_file(&file);
            let names = reader.names;
            (module, names)
        };
        Self { files: files.into_iter().map(read).collect() }
    }

    /// The file that defines the item at a path. Follows re-exports.
    fn file_of(&self, path: &[String]) -> Option<&Module> {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let length = (0..=path.len()).rev().find(|n| self.files.contains_key(&path[..*n]))?;
            let (module, names) = self.files.get_key_value(&path[..length])?;
            let next = path.get(length).and_then(|name| names.exported.get(name));
            let Some(next) = next else { return Some(module) };
            path = [&next[..], &path[length + 1..]].concat();
        }
        panic!("{path:?} is re-exported in a cycle");
    }

    fn imports_of(&self, module: &Module) -> BTreeSet<&Module> {
        let paths = self.files[module].used.iter();
        paths.filter_map(|path| self.file_of(path)).filter(|it| *it != module).collect()
    }

    /// A cycle of imports, if there is one.
    fn find_cycle(&self) -> Option<Vec<&Module>> {
        let mut done = BTreeSet::new();
        self.files.keys().find_map(|start| self.cycle_from(start, &mut Vec::new(), &mut done))
    }

    fn cycle_from<'c>(
        &'c self,
        module: &'c Module,
        path: &mut Vec<&'c Module>,
        done: &mut BTreeSet<&'c Module>,
    ) -> Option<Vec<&'c Module>> {
        if let Some(at) = path.iter().position(|it| *it == module) {
            return Some(path[at..].to_vec());
        }
        if !done.insert(module) {
            return None;
        }
        path.push(module);
        let found = self.imports_of(module).into_iter().find_map(|it| {
            // Modules on the current path are in `done`, too, so the path is searched first.
            if path.contains(&it) { Some(path.clone()) } else { self.cycle_from(it, path, done) }
        });
        path.pop();
        found
    }
}

/// Finds the files below a directory, by module.
fn collect(directory: &Path, module: &[String], files: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let child = [module, std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            collect(&path, &child, files);
        } else if path.extension().is_some_and(|it| it == "rs") && name != "tests" {
            let is_root = match name.as_str() {
                "mod" | "lib" => true,
                // Beside `lib.rs`, `main.rs` is a separate crate.
                "main" => !directory.join("lib.rs").exists(),
                _ => false,
            };
            let module = if is_root { module.to_vec() } else { child };
            files.insert(module, fs::read_to_string(&path).unwrap());
        }
    }
}

/// Collects the names that a file uses.
struct Reader<'r> {
    module: &'r Module,
    modules: &'r BTreeSet<Module>,
    names: Names,
}

impl Reader<'_> {
    /// A path from the root; `None` if it starts in another crate or at a name of this file.
    fn path_from_root(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let parent = || self.module.split_last().map(|(_, parent)| parent);
        let start = match first.as_str() {
            "crate" => &[][..],
            "self" => self.module,
            "super" => parent()?,
            _ => {
                let child = [&self.module[..], &path[..1]].concat();
                return self.modules.contains(&child).then(|| [self.module, path].concat());
            }
        };
        Some([start, rest].concat())
    }

    fn use_tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>, is_exported: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.use_tree(&path.tree, before, is_exported);
                before.pop();
            }
            syn::UseTree::Group(group) => {
                for one in &group.items {
                    self.use_tree(one, before, is_exported);
                }
            }
            syn::UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.use_name(before, &name, &name, is_exported);
            }
            syn::UseTree::Rename(it) => {
                self.use_name(before, &it.ident.to_string(), &it.rename.to_string(), is_exported);
            }
            syn::UseTree::Glob(_) => self.use_name(before, "self", "", false),
        }
    }

    fn use_name(&mut self, before: &[String], name: &str, known_as: &str, is_exported: bool) {
        let mut path = before.to_vec();
        if name != "self" {
            path.push(name.to_owned());
        }
        let Some(path) = self.path_from_root(&path) else { return };
        if is_exported && path.starts_with(self.module) {
            self.names.exported.insert(known_as.to_owned(), path);
        } else {
            self.names.used.insert(path);
        }
    }
}

impl<'a> Visit<'a> for Reader<'_> {
    fn visit_item(&mut self, item: &'a syn::Item) {
        if !attributes_of(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        let is_exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.use_tree(&item.tree, &mut Vec::new(), is_exported);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        // A single segment is an imported name, or one of this file.
        if names.len() > 1
            && let Some(path) = self.path_from_root(&names)
        {
            self.names.used.insert(path);
        }
        visit::visit_path(self, path);
    }

    /// A visibility such as `pub(in path)` is not an import.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}
}

fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(it) => &it.attrs,
        syn::Item::Impl(it) => &it.attrs,
        syn::Item::Mod(it) => &it.attrs,
        syn::Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

fn is_for_tests(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|it| it == "test")
}

#[test]
fn imports_have_no_cycles() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in CRATES {
        let read = Crate::read(&repository.join(name));
        let cycle = read
            .find_cycle()
            .map(|path| path.iter().map(|module| module.join("::")).collect::<Vec<_>>());
        assert_eq!(cycle, None, "{name}");
    }
}

#[test]
fn folders_import_only_earlier_folders() {
    let read = Crate::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut found = Vec::new();
    for (folder, order) in ORDERS {
        let place = |module: &Module| match &module[..] {
            [first, second, ..] if first == folder => {
                Some(order.iter().position(|name| name == second).expect("a name in ORDERS"))
            }
            _ => None,
        };
        for module in read.files.keys() {
            let Some(at) = place(module) else { continue };
            let imports = read.imports_of(module).into_iter();
            let later = imports.filter(|imported| place(imported).is_some_and(|it| it > at));
            found.extend(later.map(|imported| (module.join("::"), imported.join("::"))));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn cycle_through_a_re_export_is_found() {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::Thing; pub struct Other(Thing);"),
        ("b/mod.rs", "mod thing; pub use thing::Thing;"),
        ("b/thing.rs", "pub struct Thing; fn of(_: crate::a::Other) {}"),
    ] {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    let found = Crate::read(directory.path());

    let cycle: Vec<_> = found.find_cycle().unwrap().iter().map(|it| it.join("::")).collect();
    assert_eq!(cycle, ["a", "b::thing"]);
}
