use super::*;
use std::fs;

fn load(flags: &Flags, environment: &[(&str, &str)], home: &Path) -> Result<Config, ConfigError> {
    let find = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Config::load(
        flags,
        &Surroundings {
            variable: &find,
            variables: environment.iter().map(|(key, _)| (*key).to_owned()).collect(),
            root: false,
            home: Some(home.to_owned()),
        },
    )
}

fn file(text: &str) -> (tempfile::TempDir, Flags) {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("c.toml"), text).expect("written");
    let flags = Flags { config: Some(dir.path().join("c.toml")), ..Flags::default() };
    (dir, flags)
}

fn refused(text: &str) -> String {
    let (dir, flags) = file(text);
    let error = load(&flags, &[], dir.path()).expect_err(text);
    error.to_string().replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn flags_outweigh_the_environment_and_that_the_file() {
    let (dir, mut flags) = file("workers = 3\nper_account = 5\n[lease]\nbeat = \"1s\"\n");
    flags.set = vec!["workers=9".into()];
    let config = load(&flags, &[("RUNYARD_WORKERS", "7"), ("RUNYARD_PER_ACCOUNT", "8")], dir.path()).expect("loads");
    assert_eq!(config.values.workers.0, 9);
    assert_eq!(config.origins["workers"], Origin::Flag("--set"));
    assert_eq!(config.values.per_account.0, 8);
    assert_eq!(config.origins["per_account"], Origin::Environment("RUNYARD_PER_ACCOUNT".into()));
    assert_eq!(config.values.lease_beat.as_secs(), 1);
    assert_eq!(config.origins["lease.beat"].to_string(), format!("{}:4", dir.path().join("c.toml").display()));
    assert!(!config.origins.contains_key("hold"));
}

#[test]
fn a_file_in_the_data_directory_is_found_and_outweighed() {
    let home = tempfile::tempdir().expect("a directory");
    let data = home.path().join(".local/share/runyard");
    fs::create_dir_all(&data).expect("made");
    fs::write(data.join("runyard.toml"), "workers = 3\nlog = \"debug\"\n").expect("written");
    let config = load(&Flags::default(), &[("RUNYARD_WORKERS", "5")], home.path()).expect("loads");
    assert_eq!((config.values.workers.0, config.values.log.0.as_str()), (5, "debug"));
    assert_eq!(config.data_dir, data);

    fs::write(data.join("runyard.toml"), "data_dir = \"/elsewhere\"\n").expect("written");
    let error = load(&Flags::default(), &[], home.path()).expect_err("a loop");
    assert!(error.message.contains("found by it"), "{error}");
}

#[test]
fn mistakes_name_their_place_and_the_mend() {
    insta::assert_snapshot!(refused("workers = 2\nworkres = 3\n"), @r"
    DIR/c.toml:2:1: unknown key `workres`
      help: did you mean `workers`?
    ");
    insta::assert_snapshot!(refused("[sandbox.limits.memory]\nvlaue = \"1GiB\"\n"), @r"
    DIR/c.toml:2:1: unknown key `sandbox.limits.memory.vlaue`
      help: did you mean `sandbox.limits.memory.value`?
    ");
    insta::assert_snapshot!(refused("beat = \"5s\"\n"), @r"
    DIR/c.toml:1:1: unknown key `beat`
      help: did you mean `lease.beat`?
    ");
    insta::assert_snapshot!(refused("lease = \"5s\"\n"), @r"
    DIR/c.toml:1:1: unknown key `lease`
      help: `lease` is a section: write [lease] and its keys below
    ");
    insta::assert_snapshot!(refused("lease.beat = 5\n"), @r#"DIR/c.toml:1:14: `lease.beat`: 5 has no unit: write "5s" for seconds"#);
    insta::assert_snapshot!(refused("workers = \"2\"\n"), @"DIR/c.toml:1:11: `workers`: `2` is not a whole number");
    insta::assert_snapshot!(refused("[nonsense]\n"), @r"
    DIR/c.toml:1:2: unknown key `nonsense`
      help: `runyard config show` lists all keys
    ");
    insta::assert_snapshot!(refused("workers = \n"), @"DIR/c.toml:1:11: string values must be quoted, expected literal string");
}

#[test]
fn bad_values_from_outside_the_file_name_their_variable_or_flag() {
    let home = tempfile::tempdir().expect("a directory");
    let error = load(&Flags::default(), &[("RUNYARD_WORKERS", "many")], home.path()).expect_err("no number");
    assert_eq!(error.to_string(), "environment RUNYARD_WORKERS: `workers`: `many` is not a whole number");
    let flags = Flags { set: vec!["wrokers=1".into()], ..Flags::default() };
    let error = load(&flags, &[], home.path()).expect_err("no key");
    assert_eq!(error.to_string(), "flag --set: unknown key `wrokers`\n  help: did you mean `workers`?");
}

#[test]
fn an_address_that_cannot_be_one_is_refused_with_its_setting_and_its_origin() {
    let home = tempfile::tempdir().expect("a directory");
    for (variable, address) in [
        ("ANTHROPIC_BASE_URL", "api.anthropic.com"),
        ("RUNYARD_ANTHROPIC_BASE_URL", "https://u:s3cret@proxy/"),
        ("ANTHROPIC_BASE_URL", "file:///etc/passwd"),
    ] {
        let error = load(&Flags::default(), &[(variable, address)], home.path()).expect_err(address).to_string();
        assert!(error.starts_with(&format!("environment {variable}: `anthropic.base_url`: ")), "{error}");
        assert!(error.contains("such as https://api.anthropic.com") && !error.contains("s3cret"), "{error}");
    }
    insta::assert_snapshot!(refused("anthropic.base_url = \"\"\n"), @"DIR/c.toml:1:22: `anthropic.base_url`: `the given text` is not an http or https address without user, query and fragment: expected an http or https address such as https://api.anthropic.com");
}

#[test]
fn an_empty_variable_is_as_good_as_unset() {
    let environment = [("ANTHROPIC_BASE_URL", ""), ("RUNYARD_WORKERS", ""), ("RUNYARD_CONFIG", "")];
    let (dir, flags) = file("anthropic.base_url = \"http://localhost:9\"\nworkers = 3\n");
    let config = load(&flags, &environment, dir.path()).expect("loads");
    assert_eq!((config.values.base_url.0.as_str(), config.values.workers.0), ("http://localhost:9", 3));
    let config = load(&Flags::default(), &environment, dir.path()).expect("loads");
    assert_eq!(config.values.base_url.0, "https://api.anthropic.com");
    assert!(!config.origins.contains_key("anthropic.base_url"));
}

#[test]
fn a_misspelt_variable_is_told() {
    let home = tempfile::tempdir().expect("a directory");
    let environment = [("RUNYARD_WORKRES", "1"), ("RUNYARD_CORPUS", "x")];
    let config = load(&Flags::default(), &environment, home.path()).expect("loads");
    assert_eq!(config.warnings, ["the variable RUNYARD_WORKRES is no setting; did you mean RUNYARD_WORKERS?"]);
}

#[test]
fn passwords_are_not_shown() {
    let home = tempfile::tempdir().expect("a directory");
    let environment = [("RUNYARD_DATABASE_URL", "postgres://me:s3cret@host/db?password=s3cret&x=1")];
    let config = load(&Flags::default(), &environment, home.path()).expect("loads");
    let text = render_text(&config);
    assert!(!text.contains("s3cret"), "{text}");
    assert!(text.contains("postgres://me:***@host/db?password=***&x=1"), "{text}");
    assert!(!render_json(&config).to_string().contains("s3cret"));
    assert_eq!(config.database_url(), environment[0].1);
}

#[test]
fn root_keeps_its_data_where_system_services_do() {
    let none = |_: &str| None;
    let around = Surroundings { variable: &none, variables: Vec::new(), root: true, home: None };
    assert_eq!(default_data_dir(&around).expect("known"), Path::new("/var/lib/runyard"));
    let around = Surroundings { root: false, ..around };
    assert!(default_data_dir(&around).is_err());
}

#[test]
fn a_provider_is_whole_or_told_what_is_missing() {
    let doors = |text: &str| {
        let (dir, flags) = file(text);
        load(&flags, &[], dir.path()).expect(text).doors(None)
    };
    let usual = doors("").expect("passwords only");
    assert!(usual.passwords && usual.provider.is_none());
    let issuer = "[oidc]\nissuer = \"https://id.example.org:8443/realms/a\"\n";
    let whole = doors(&format!("password_sign_in = false\n{issuer}client_id = \"runyard\"\n")).expect("whole");
    let provider = whole.provider.expect("a provider");
    assert!(!whole.passwords && provider.require_verified_email && !provider.link_existing);
    assert_eq!((provider.label.as_str(), provider.role), ("id.example.org:8443", domain::Role::Member));
    assert_eq!(provider.scopes, ["openid", "email", "profile"]);
    assert!(provider.domains.is_empty(), "only people who are invited");
    for (text, missing) in [
        ("password_sign_in = false\n".to_owned(), "nobody could sign in"),
        (issuer.to_owned(), "oidc.client_id"),
        (format!("{issuer}client_id = \"runyard\"\nscopes = [\"openid\"]\n"), "`email`"),
    ] {
        let error = doors(&text).expect_err(&text);
        assert!(error.contains(missing), "{text}: {error}");
    }
    let told = refused("[oidc]\nissuer = \"http://user:secret@id.example.org\"\n");
    assert!(told.starts_with("DIR/c.toml:2:10: `oidc.issuer`: expected the address of a provider"), "{told}");
    assert!(!told.contains("secret"), "{told}");
}

/// `docs/configuration.md` is written from the table; `RUNYARD_WRITE_DOCS=1 cargo test -p runyard` writes it anew.
#[test]
fn the_documentation_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let written = show::documentation();
    if std::env::var_os("RUNYARD_WRITE_DOCS").is_some() {
        fs::write(&path, &written).expect("written");
    }
    let found = fs::read_to_string(&path).expect("docs/configuration.md exists");
    assert!(found == written, "docs/configuration.md is out of date: RUNYARD_WRITE_DOCS=1 cargo test -p runyard");
}
