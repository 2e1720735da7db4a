//! The template beside the code that it deploys.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
};

use black_box::{binary::root, emulator::FUNCTION_ARN};
use serde_yaml_ng::Value;
use service::Lookup;

/// Variables that mean something only where there is no Lambda.
const OF_THE_SERVER: [&str; 10] = [
    "HOST",
    "PORT",
    "ALLOW_ANONYMOUS_WRITES",
    "ALLOWED_HOSTS",
    "CLIENT_TIMEOUT_SECONDS",
    "SHUTDOWN_SECONDS",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_ADDRESS",
    "RESPONSE_MEMORY_BYTES",
    "INGEST_QUEUE",
];

/// Variables that Lambda itself sets.
const OF_LAMBDA: [&str; 2] = ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"];

/// Variables whose defaults are right on Lambda. Adding one to the template is a decision.
const LEFT_TO_DEFAULTS: [&str; 9] = [
    "REQUEST_TIMEOUT_SECONDS",
    "REQUEST_LIMIT_BYTES",
    "RESPONSE_LIMIT_BYTES",
    "INGEST_CONCURRENCY",
    "MAX_DURATION_SECONDS",
    "MAX_FFMPEG_BYTES",
    "MAX_OPEN_UPLOADS",
    "MAX_OUTPUT_BYTES",
    "UPLOAD_EXPIRY_SECONDS",
];

/// The streaming function writes nothing and has no `/songs`, so it needs neither key nor secret.
const NOT_FOR_STREAMING: [&str; 4] =
    ["API_KEY", "API_KEY_SECRET_ARN", "READ_ACCESS", "REQUEST_LIMIT_BYTES"];

fn template() -> Value {
    let text = fs::read_to_string(root().join("template.yaml")).expect("is there");
    serde_yaml_ng::from_str(&text).expect("is YAML")
}

/// A value without the tags of CloudFormation's functions.
fn plain(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) => &tagged.value,
        other => other,
    }
}

fn text(value: &Value) -> &str {
    plain(value).as_str().unwrap_or_default()
}

/// The variables that `function` gets, those of `Globals` included.
fn variables_set(function: &str) -> BTreeSet<String> {
    let template = template();
    let names = |variables: &Value| {
        let names = variables.as_mapping().into_iter().flat_map(|all| all.keys().cloned());
        names.map(|name| text(&name).to_owned()).collect::<Vec<_>>()
    };
    let globals = &template["Globals"]["Function"]["Environment"]["Variables"];
    let own = &template["Resources"][function]["Properties"]["Environment"]["Variables"];
    assert!(globals.is_mapping());
    names(globals).into_iter().chain(names(own)).collect()
}

/// The variables that `configure` asks for, whatever it makes of them.
fn variables_read<T>(configure: impl Fn(&Lookup<'_>) -> T) -> BTreeSet<String> {
    let read = RefCell::new(BTreeSet::new());
    // A secret that is given by value keeps the variable of its ARN from being read.
    let lookup = Lookup::new(|name| {
        read.borrow_mut().insert(name.to_owned());
        (name == "DATABASE_SECRET_ARN").then(|| "arn:aws:secretsmanager:…".to_owned())
    });
    configure(&lookup);
    drop(lookup);
    read.into_inner()
}

fn read_by(function: &str) -> BTreeSet<String> {
    match function {
        "CrudFunction" => {
            variables_read(|lookup| crud::Config::from_lookup(lookup).expect("is valid"))
        }
        _ => variables_read(|lookup| streaming::Config::from_lookup(lookup).expect("is valid")),
    }
}

#[test]
fn every_variable_that_the_template_sets_is_read() {
    for function in ["CrudFunction", "StreamingFunction"] {
        let read = read_by(function);
        for name in variables_set(function) {
            assert!(read.contains(&name), "{function} does not read {name}");
        }
    }
}

#[test]
fn every_variable_that_is_read_is_set_or_left_out_for_a_reason() {
    for function in ["CrudFunction", "StreamingFunction"] {
        let mut expected = variables_set(function);
        expected.extend(
            OF_THE_SERVER
                .iter()
                .chain(&OF_LAMBDA)
                .chain(&LEFT_TO_DEFAULTS)
                .map(|name| (*name).to_owned()),
        );
        // The template has it generated: there is no key by value.
        expected.insert("API_KEY".into());
        if function == "StreamingFunction" {
            expected.extend(NOT_FOR_STREAMING.map(str::to_owned));
        }
        let unexpected: Vec<_> =
            read_by(function).into_iter().filter(|name| !expected.contains(name)).collect();
        assert!(
            unexpected.is_empty(),
            "{function} reads {unexpected:?}, which the template does not set"
        );
    }
}

#[test]
fn the_documentation_of_a_configuration_names_the_variables_that_it_reads() {
    let read: BTreeSet<_> =
        read_by("CrudFunction").into_iter().chain(read_by("StreamingFunction")).collect();
    let files = [
        "functions/crud/src/config.rs",
        "functions/streaming/src/config.rs",
        "crates/service/src/config.rs",
    ];
    let sources: String =
        files.map(|file| fs::read_to_string(root().join(file)).expect("is there")).concat();
    let ingest = fs::read_to_string(root().join("crates/ingest/src/config.rs")).expect("is there");
    for name in read {
        let documented = (sources.clone() + &ingest).lines().any(|line| {
            line.trim_start().starts_with("///") && line.contains(&format!("`{name}`"))
        });
        let configured = sources.contains(&format!("\"{name}\""));
        assert!(documented || configured, "{name} is documented nowhere");
    }
}

/// The paths that the template sends to each function; `/…/*` for what is under one.
fn template_routes() -> BTreeMap<String, BTreeSet<String>> {
    let template = template();
    let mut routes = BTreeMap::new();
    for function in ["CrudFunction", "StreamingFunction"] {
        let events = template["Resources"][function]["Properties"]["Events"].clone();
        let events = events.as_mapping().expect("has events").clone();
        let paths = events
            .values()
            .filter(|event| text(&event["Type"]) == "HttpApi")
            .map(|event| match text(&event["Properties"]["Path"]) {
                "" => "$default".to_owned(),
                path => path.replace("{proxy+}", "*"),
            })
            .collect::<BTreeSet<_>>();
        routes.insert(function.to_owned(), paths);
    }
    routes
}

/// The paths that a function's routes declare.
fn router_routes(function: &str) -> BTreeSet<String> {
    let table = match function {
        "crud" => crud::routes().table(),
        _ => streaming::routes().table(),
    };
    table.into_iter().map(|declared| declared.path.to_owned()).collect()
}

fn covers(template: &str, route: &str) -> bool {
    match template.strip_suffix('*') {
        Some(prefix) => route.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()),
        None => template == route,
    }
}

#[test]
fn every_route_reaches_the_function_that_serves_it() {
    let routes = template_routes();
    for (name, function) in [("crud", "CrudFunction"), ("streaming", "StreamingFunction")] {
        let router = router_routes(name);
        for route in &router {
            // The most specific route wins, so no other function may have one that covers it too.
            let to: Vec<_> = routes
                .iter()
                .filter(|(_, paths)| paths.iter().any(|path| covers(path, route)))
                .map(|(function, _)| function.as_str())
                .collect();
            assert_eq!(to, [function], "{route}");
        }
    }
    assert!(
        routes["StreamingFunction"].contains("$default"),
        "what nobody serves is answered by streaming"
    );
}

#[test]
fn every_path_of_the_template_is_served() {
    for (name, function) in [("crud", "CrudFunction"), ("streaming", "StreamingFunction")] {
        let router = router_routes(name);
        for path in &template_routes()[function] {
            let is_served = path == "$default" || router.iter().any(|route| covers(path, route));
            assert!(is_served, "{function} at {path}");
        }
    }
}

#[test]
fn no_gateway_answers_cors_in_place_of_the_functions() {
    let template = template();
    let api = &template["Resources"]["Api"];
    assert_eq!(text(&api["Type"]), "AWS::Serverless::HttpApi");
    assert_eq!(text(&api["Properties"]["StageName"]), "$default");
    assert!(api["Properties"].get("CorsConfiguration").is_none());
}

#[test]
fn crud_may_invoke_its_own_alias_and_nothing_else() {
    let template = template();
    let policy = &template["Resources"]["InvokeItself"];
    // Part of the role, it would refer to the function that refers to the role.
    assert_eq!(text(&policy["Type"]), "AWS::IAM::Policy");
    let statements =
        policy["Properties"]["PolicyDocument"]["Statement"].as_sequence().expect("is a list");
    assert_eq!(statements.len(), 1);
    assert_eq!(text(&statements[0]["Effect"]), "Allow");
    assert_eq!(text(&statements[0]["Action"]), "lambda:InvokeFunction");
    // SAM makes it the ARN of the alias: what a function is invoked by, that is called by it.
    assert_eq!(text(&statements[0]["Resource"]), "CrudFunction.Alias");
    let alias = text(&template["Globals"]["Function"]["AutoPublishAlias"]);
    assert_eq!(FUNCTION_ARN.rsplit(':').next(), Some(alias));
    let roles = policy["Properties"]["Roles"].as_sequence().expect("is a list");
    assert_eq!(roles.iter().map(text).collect::<Vec<_>>(), ["CrudRole"]);
    let role = text(&template["Resources"]["CrudFunction"]["Properties"]["Role"]);
    assert_eq!(role, "CrudRole.Arn");
}

#[test]
fn a_job_is_tried_again_for_as_long_as_its_lease_lasts() {
    let template = template();
    let config = &template["Resources"]["CrudFunction"]["Properties"]["EventInvokeConfig"];
    assert_eq!(config["MaximumRetryAttempts"].as_u64(), Some(2));
    let age = config["MaximumEventAgeInSeconds"].as_u64().expect("is a number");
    let source = fs::read_to_string(root().join("functions/crud/src/worker.rs")).expect("is there");
    let hours = source.split("QUEUE_LEASE: SignedDuration = SignedDuration::from_hours(").nth(1);
    let hours: u64 = hours.and_then(|rest| rest.split(')').next()?.parse().ok()).expect("is there");
    assert_eq!(age, hours * 3_600);
    assert_eq!(text(&config["DestinationConfig"]["OnFailure"]["Destination"]), "FailedJobs.Arn");
}

#[test]
fn each_role_has_what_its_function_does_and_no_more() {
    let template = template();
    let actions = |role: &str| {
        let resources = template["Resources"].as_mapping().expect("is a map");
        let inline = template["Resources"][role]["Properties"]["Policies"].as_sequence().cloned();
        let separate = resources.values().filter(|resource| {
            text(&resource["Type"]) == "AWS::IAM::Policy"
                && resource["Properties"]["Roles"]
                    .as_sequence()
                    .is_some_and(|roles| roles.iter().any(|name| text(name) == role))
        });
        let documents = inline
            .into_iter()
            .flatten()
            .map(|policy| match policy {
                // What is there where a condition holds.
                Value::Tagged(conditional) => conditional.value[1]["PolicyDocument"].clone(),
                policy => policy["PolicyDocument"].clone(),
            })
            .chain(separate.map(|policy| policy["Properties"]["PolicyDocument"].clone()));
        let mut actions = BTreeSet::new();
        for document in documents {
            for statement in document["Statement"].as_sequence().expect("is a list") {
                let resource = text(&statement["Resource"]).to_owned();
                let named = match &statement["Action"] {
                    Value::Sequence(actions) => actions.clone(),
                    action => vec![action.clone()],
                };
                for action in named {
                    let action = text(&action).to_owned();
                    assert!(
                        resource != "*" || action.starts_with("xray:"),
                        "{role}: {action} on everything"
                    );
                    assert!(!action.contains('*'), "{role}: {action}");
                    actions.insert(action);
                }
            }
        }
        actions.into_iter().collect::<Vec<_>>()
    };
    let shared = [
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "secretsmanager:GetSecretValue",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    ];
    assert_eq!(actions("StreamingRole"), shared);
    let mut crud: Vec<_> =
        shared.into_iter().chain(["lambda:InvokeFunction", "sqs:SendMessage"]).collect();
    crud.sort_unstable();
    assert_eq!(actions("CrudRole"), crud);
}

#[test]
fn every_alarm_is_heard_and_rolls_a_deployment_back() {
    let template = template();
    let resources = template["Resources"].as_mapping().expect("is a map");
    let alarms: BTreeMap<_, _> = resources
        .iter()
        .filter(|(_, resource)| text(&resource["Type"]) == "AWS::CloudWatch::Alarm")
        .map(|(name, resource)| (text(name), resource))
        .collect();
    let mut measured = BTreeSet::new();
    for (name, alarm) in &alarms {
        assert_eq!(text(&alarm["Condition"]), "IsProduction", "{name}");
        let properties = &alarm["Properties"];
        assert_eq!(text(&properties["AlarmActions"][0]), "Alarms", "{name}");
        let of = text(&properties["Dimensions"][0]["Value"]);
        measured.insert((of, text(&properties["MetricName"])));
        if let Some(percentile) = properties.get("ExtendedStatistic") {
            assert_eq!(text(percentile), "p99", "{name}");
        }
    }
    let of_each = ["CrudFunction", "StreamingFunction"]
        .iter()
        .flat_map(|of| ["Errors", "Throttles", "Duration"].map(|metric| (*of, metric)));
    let of_jobs = ("FailedJobs.QueueName", "NumberOfMessagesSent");
    assert_eq!(measured, of_each.chain([of_jobs]).collect());

    let mut wired = BTreeSet::new();
    for function in ["CrudFunction", "StreamingFunction"] {
        let preference = &template["Resources"][function]["Properties"]["DeploymentPreference"];
        assert_eq!(text(&preference["Enabled"]), "Production");
        assert!(text(&preference["Type"]).starts_with("Canary"));
        let choice = plain(&preference["Alarms"]).as_sequence().expect("is a choice");
        assert_eq!(text(&choice[0]), "IsProduction");
        wired.extend(choice[1].as_sequence().expect("is a list").iter().map(text));
    }
    assert_eq!(wired, alarms.into_keys().collect());
}

#[test]
fn secrets_are_not_shown() {
    let template = template();
    assert_eq!(template["Parameters"]["DatabaseUrl"]["NoEcho"].as_bool(), Some(true));
    let outputs = serde_yaml_ng::to_string(&template["Outputs"]).expect("is YAML");
    assert!(!outputs.contains("DatabaseUrl"));
    assert!(template["Resources"]["ApiKey"]["Properties"].get("GenerateSecretString").is_some());
}
