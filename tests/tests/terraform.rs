//! What `infra/` says is what the code says: tables, queues, names, jobs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hcl::eval::{Context, Evaluate, FuncArgs, FuncDef, ParamType};
use hcl::{Block, Body, Expression, Identifier, Value};
use regex_lite::Regex;
use shared::config::{Names, catalogue};
use shared::resources::{self, QueueDefinition, TableDefinition};

/// The default, and another one, which a name written out in full would not follow.
const PREFIXES: [&str; 2] = ["dueflow", "bank-test-2"];

/// What Terraform asks for beyond `dueflow setup`, so that nothing is lost.
const TABLE_GUARDS: [&str; 4] = [
    "deletion_protection_enabled",
    "lifecycle.prevent_destroy",
    "point_in_time_recovery.enabled",
    "server_side_encryption.enabled",
];
const QUEUE_GUARDS: [&str; 1] = ["lifecycle.prevent_destroy"];

/// Attributes of a queue: what Terraform calls them, what SQS calls them.
const QUEUE_ATTRIBUTES: [(&str, &str); 7] = [
    ("fifo_queue", "FifoQueue"),
    ("content_based_deduplication", "ContentBasedDeduplication"),
    ("deduplication_scope", "DeduplicationScope"),
    ("fifo_throughput_limit", "FifoThroughputLimit"),
    ("message_retention_seconds", "MessageRetentionPeriod"),
    ("visibility_timeout_seconds", "VisibilityTimeout"),
    ("sqs_managed_sse_enabled", "SqsManagedSseEnabled"),
];

/// The services, by the names their executables go by.
const SERVICES: [&str; 3] =
    [stream_relay::SERVICE.name, dispatcher::SERVICE.name, confirmer::SERVICE.name];

/// All arguments of a resource by their path, such as `attribute.PK.type`.
type Arguments = BTreeMap<String, String>;

fn infra() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra")
}

/// The Terraform files, their expressions evaluated for one prefix.
struct Module {
    blocks: Vec<Block>,
    context: Context<'static>,
}

impl Module {
    fn with_prefix(prefix: &str) -> Self {
        let mut blocks = Vec::new();
        for entry in infra().join("terraform").read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "tf") {
                let text = std::fs::read_to_string(&path).unwrap();
                let body = hcl::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert_eq!(body.attributes().count(), 0, "{}", path.display());
                blocks.extend(body.into_blocks());
            }
        }
        let mut module = Self { blocks, context: Context::new() };
        module.context.declare_var("var", object([("prefix", prefix.to_owned())]));
        // Its argument is easier to compare than its text.
        module.declare_func("jsonencode", &[ParamType::Any], |args| Ok(args[0].clone()));
        module.declare_func("regex", &[ParamType::String, ParamType::String], |args| {
            let pattern = Regex::new(args[0].as_str().unwrap()).map_err(|e| e.to_string())?;
            let found = pattern.find(args[1].as_str().unwrap()).ok_or("no match")?;
            Ok(found.as_str().into())
        });
        module.resolve();
        module
    }

    fn declare_func(
        &mut self,
        name: &'static str,
        params: &[ParamType],
        func: fn(FuncArgs) -> Result<Value, String>,
    ) {
        let def = FuncDef::builder().params(params.iter().cloned()).build(func);
        self.context.declare_func(Identifier::unchecked(name), def);
    }

    /// Declares locals and the ARNs of resources, in rounds, because they name each other.
    fn resolve(&mut self) {
        let locals = self.blocks.iter().filter(|block| block.identifier() == "locals");
        let locals: Vec<_> = locals.flat_map(|block| block.body().attributes().cloned()).collect();
        for _ in 0..=locals.len() {
            for kind in ["aws_dynamodb_table", "aws_sqs_queue"] {
                let arns =
                    self.of_kind("resource", kind).into_iter().filter_map(|(label, body)| {
                        let name = text(&argument(body, "name")?.evaluate(&self.context).ok()?);
                        let stream = arn(&format!("{name}/stream"));
                        Some((
                            label.to_owned(),
                            object([("arn", arn(&name)), ("stream_arn", stream)]),
                        ))
                    });
                let arns = Value::Object(arns.collect());
                self.context.declare_var(Identifier::unchecked(kind), arns);
            }
            let known = locals.iter().filter_map(|local| {
                Some((local.key().to_owned(), local.expr().evaluate(&self.context).ok()?))
            });
            let known = Value::Object(known.collect());
            self.context.declare_var("local", known);
        }
    }

    /// The blocks of a kind, by their label.
    fn of_kind(&self, identifier: &str, kind: &str) -> Vec<(&str, &Body)> {
        let blocks = self.blocks.iter().filter(|block| block.identifier() == identifier);
        let labelled = blocks.filter_map(|block| match block.labels() {
            [of, label] if of.as_str() == kind => Some((label.as_str(), block.body())),
            _ => None,
        });
        labelled.collect()
    }

    /// The variable `prefix`, the only one there is, with one validation.
    fn prefix(&self) -> &Body {
        let variables = self.blocks.iter().filter(|block| block.identifier() == "variable");
        let [variable] = variables.collect::<Vec<_>>()[..] else { panic!("one variable") };
        assert_eq!(variable.labels()[0].as_str(), "prefix");
        assert_eq!(variable.body().blocks().count(), 1, "one validation");
        variable.body()
    }

    /// The resources of a kind, by their name at AWS.
    fn resources(&self, kind: &str) -> BTreeMap<String, Arguments> {
        let mut resources = BTreeMap::new();
        for (_, body) in self.of_kind("resource", kind) {
            let arguments = self.arguments(body);
            let before = resources.insert(arguments["name"].clone(), arguments);
            assert_eq!(before, None, "two resources of one name");
        }
        resources
    }

    fn arguments(&self, body: &Body) -> Arguments {
        let mut all = Arguments::new();
        self.collect("", body, &mut all);
        all
    }

    fn collect(&self, path: &str, body: &Body, all: &mut Arguments) {
        for attribute in body.attributes() {
            let key = format!("{path}{}", attribute.key());
            let value = attribute.expr().evaluate(&self.context);
            enter(&key, &value.unwrap_or_else(|e| panic!("{key}: {e}")), all);
        }
        for block in body.blocks() {
            let body = block.body();
            let label = argument(body, "name").or_else(|| argument(body, "sid"));
            let label = label.map(|label| text(&label.evaluate(&self.context).unwrap()));
            let label = label.map_or_else(String::new, |label| format!(".{label}"));
            let path = format!("{path}{}{label}.", block.identifier());
            self.collect(&path, body, all);
        }
    }
}

fn argument<'a>(body: &'a Body, key: &str) -> Option<&'a Expression> {
    body.attributes().find(|attribute| attribute.key() == key).map(|attribute| attribute.expr())
}

fn enter(key: &str, value: &Value, all: &mut Arguments) {
    if let Value::Object(fields) = value {
        fields.iter().for_each(|(field, value)| enter(&format!("{key}.{field}"), value, all));
    } else {
        assert_eq!(all.insert(key.to_owned(), text(value)), None, "{key} stands there twice");
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn object<const N: usize>(fields: [(&str, String); N]) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn arn(name: &str) -> String {
    format!("arn:{name}")
}

/// A table as Terraform should have it, without the guards.
fn table_arguments(table: &TableDefinition) -> Arguments {
    let mut all = Arguments::new();
    let mut set = |key: &str, value: &str| all.insert(key.to_owned(), value.to_owned());
    set("name", &table.name);
    set("billing_mode", "PAY_PER_REQUEST");
    set("hash_key", table.partition_key);
    let mut keys = vec![table.partition_key];
    if let Some(sort_key) = table.sort_key {
        set("range_key", sort_key);
        keys.push(sort_key);
    }
    for index in &table.indexes {
        let path = format!("global_secondary_index.{}", index.name);
        set(&format!("{path}.name"), index.name);
        set(&format!("{path}.hash_key"), index.partition_key);
        keys.push(index.partition_key);
        if let Some(sort_key) = index.sort_key {
            set(&format!("{path}.range_key"), sort_key);
            keys.push(sort_key);
        }
        if index.projected.is_empty() {
            set(&format!("{path}.projection_type"), "KEYS_ONLY");
        } else {
            set(&format!("{path}.projection_type"), "INCLUDE");
            set(&format!("{path}.non_key_attributes"), &index.projected.join(" "));
        }
    }
    for key in keys {
        set(&format!("attribute.{key}.name"), key);
        set(&format!("attribute.{key}.type"), "S");
    }
    if table.stream {
        set("stream_enabled", "true");
        set("stream_view_type", "NEW_IMAGE");
    }
    if let Some(attribute) = table.expiry {
        set("ttl.enabled", "true");
        set("ttl.attribute_name", attribute);
    }
    all
}

/// A queue as Terraform should have it, without the guards.
fn queue_arguments(queue: &QueueDefinition) -> Arguments {
    let mut all = Arguments::from([("name".to_owned(), queue.name.clone())]);
    for (sqs, value) in &queue.attributes {
        let known = QUEUE_ATTRIBUTES.iter().find(|(_, name)| name == sqs);
        let (terraform, _) = known.unwrap_or_else(|| panic!("what does Terraform call {sqs}?"));
        all.insert((*terraform).to_owned(), value.clone());
    }
    if let Some((target, deliveries)) = &queue.redrive {
        all.insert("redrive_policy.deadLetterTargetArn".to_owned(), arn(target));
        all.insert("redrive_policy.maxReceiveCount".to_owned(), deliveries.to_string());
    }
    all
}

/// Compares what Terraform has, but for its guards, with what it should have.
fn assert_same(kind: &str, guards: &[&str], expected: impl Fn(&Names) -> Vec<Arguments>) {
    for prefix in PREFIXES {
        let mut found = Module::with_prefix(prefix).resources(kind);
        for arguments in found.values_mut() {
            arguments.retain(|key, _| !guards.contains(&key.as_str()));
        }
        for expected in expected(&prefix.parse().unwrap()) {
            let name = &expected["name"];
            let found = found.remove(name).unwrap_or_else(|| panic!("{name} is not in Terraform"));
            assert_eq!(found, expected, "left is Terraform, right is shared::resources");
        }
        assert_eq!(found, BTreeMap::new(), "these are in Terraform only");
    }
}

fn assert_guarded(kind: &str, guards: &[&str]) {
    let resources = Module::with_prefix("dueflow").resources(kind);
    assert!(!resources.is_empty());
    for (name, arguments) in resources {
        for guard in guards {
            assert_eq!(arguments.get(*guard).map(String::as_str), Some("true"), "{name}: {guard}");
        }
    }
}

#[test]
fn terraform_makes_the_tables_that_setup_makes() {
    assert_same("aws_dynamodb_table", &TABLE_GUARDS, |names| {
        resources::tables(names).iter().map(table_arguments).collect()
    });
}

#[test]
fn terraform_makes_the_queues_that_setup_makes() {
    assert_same("aws_sqs_queue", &QUEUE_GUARDS, |names| {
        resources::queues(names).iter().map(queue_arguments).collect()
    });
}

#[test]
fn every_table_is_encrypted_recoverable_and_guarded_against_deletion() {
    assert_guarded("aws_dynamodb_table", &TABLE_GUARDS);
}

#[test]
fn no_queue_is_deleted_by_mistake() {
    assert_guarded("aws_sqs_queue", &QUEUE_GUARDS);
}

#[test]
fn terraform_takes_the_prefixes_that_the_services_take() {
    let (longest, longer) = ("x".repeat(60), "x".repeat(61));
    let fitting = ["dueflow", "abcd", "A-1-", &longest];
    let unfit = ["", "abc", &longer, "a_bc", "a.bc", "a bc", "äbcd", "abcd\n"];
    for prefix in fitting.into_iter().chain(unfit) {
        let module = Module::with_prefix(prefix);
        let validation = module.prefix().blocks().next().unwrap().body();
        // Terraform's `can` says whether its argument has a value.
        let Some(Expression::FuncCall(can)) = argument(validation, "condition") else {
            panic!("the condition is no call of can")
        };
        assert_eq!(can.name.name.as_str(), "can");
        let names = prefix.parse::<Names>();
        assert_eq!(can.args[0].evaluate(&module.context).is_ok(), names.is_ok(), "{prefix:?}");
        if let Err(reason) = names {
            let message = argument(validation, "error_message").unwrap().to_string();
            assert!(message.contains(&reason), "{message} does not say: {reason}");
        }
    }
}

#[test]
fn the_default_prefix_is_the_same_everywhere() {
    let setting = catalogue().iter().find(|setting| setting.name == "DUEFLOW_PREFIX").unwrap();
    let module = Module::with_prefix("dueflow");
    let default = argument(module.prefix(), "default").unwrap();
    assert_eq!(*default, Expression::from(setting.default));
}

#[test]
fn every_service_has_a_policy_and_no_policy_has_a_wildcard() {
    let module = Module::with_prefix("dueflow");
    let policies = module.of_kind("data", "aws_iam_policy_document");
    let labels: BTreeSet<_> = policies.iter().map(|(label, _)| label.replace('_', "-")).collect();
    let people = ["payments-import", "payments-show", "payments-audit", "dlq-list", "dlq-replay"];
    let people = people.into_iter().chain(["payments-open", "payments-cancel", "setup-settings"]);
    let people = people.chain(["dlq-show", "dlq-export", "dlq-discard", "dlq-log"]);
    let stoppers = ["dispatch-status", "dispatch-stop", "dispatch-resume"];
    let archivists = ["archive-run", "archive-find", "archive-verify", "reconcile"];
    let expected = SERVICES.into_iter().chain(people).chain(stoppers).chain(archivists);
    assert_eq!(labels, expected.map(str::to_owned).collect());
    for (label, body) in policies {
        for (key, value) in module.arguments(body) {
            assert!(!value.contains('*'), "{label}: {key} = {value}");
        }
    }
}

/// The lines of the scrape configuration that begin with `key`, each with its job. The file
/// is flat and ours, so reading lines needs no YAML parser; `promtool check config` judges
/// its syntax.
fn scraped(key: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(infra().join("monitoring/prometheus.yml")).unwrap();
    let mut job = "";
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        job = line.strip_prefix("- job_name: ").unwrap_or(job);
        found.extend(line.strip_prefix(key).map(|value| (job.to_owned(), value.to_owned())));
    }
    found
}

#[test]
fn every_scrape_job_is_a_service_and_every_service_is_scraped() {
    let jobs: Vec<_> = scraped("- job_name: ").into_iter().map(|(job, _)| job).collect();
    assert_eq!(jobs, SERVICES);
}

#[test]
fn every_scraped_port_is_the_one_that_the_readme_gives_the_service() {
    let readme = std::fs::read_to_string(infra().join("monitoring/README.md")).unwrap();
    let targets = scraped("- targets: ");
    let jobs: Vec<_> = targets.iter().map(|(job, _)| job.as_str()).collect();
    assert_eq!(jobs, SERVICES, "one target for each job");
    let given: Vec<_> = targets
        .iter()
        .map(|(job, target)| {
            let address = target.trim_matches(['[', ']', '"']);
            format!("DUEFLOW_ADMIN_ADDRESS={address} dueflow {job}")
        })
        .collect();
    let commands = readme.lines().map(str::trim);
    let commands = commands.filter(|line| line.starts_with("DUEFLOW_ADMIN_ADDRESS="));
    assert_eq!(commands.collect::<Vec<_>>(), given);
    let addresses: BTreeSet<_> = targets.iter().map(|(_, target)| target).collect();
    assert_eq!(addresses.len(), SERVICES.len(), "no two share a port");
}
