//! `deploy/try` by its text. That its README leads where it says is shown on a real node, by `cargo dev node --once`.

use serde_json::{Value, json};

use super::manifests::{built, name};

fn of<'a>(objects: &'a [Value], kind: &str, its_name: &str) -> &'a Value {
    let is_it = |object: &&Value| object["kind"] == kind && name(object) == its_name;
    objects.iter().find(is_it).expect(its_name)
}

#[test]
fn the_trial_simulates_the_cloud_that_the_samples_name() {
    let trial = built("deploy/try");
    let samples = built("deploy/samples");
    let pod = &of(&trial, "Deployment", "swr-operator")["spec"]["template"]["spec"];
    let (operator, simulator) = (&pod["containers"][0], &pod["initContainers"][0]);
    let account = of(&samples, "SwrAccount", "default");
    let registry = of(&samples, "ReplicationRegistry", "harbor-dr");

    let named =
        |flag: &str, value: &Value| json!(format!("--{flag}={}", value.as_str().expect("text")));
    assert_eq!(
        simulator["args"],
        json!([
            "--listen=127.0.0.1:9090",
            named("region", &account["spec"]["region"]),
            named("project", &account["spec"]["projectId"]),
            named("instance", &registry["spec"]["instanceId"]),
            "--access-key=$(ACCESS_KEY)",
            "--secret-key=$(SECRET_KEY)",
        ])
    );
    assert_eq!(
        operator["args"],
        json!([
            "run",
            "--swr-endpoint=http://127.0.0.1:9090",
            "--iam-endpoint=http://127.0.0.1:9090",
        ])
    );

    // Both know the key of the Secret that the account names, which the trial brings.
    let key = &account["spec"]["auth"]["accessKeySecretRef"]["name"];
    let secret = of(&trial, "Secret", key.as_str().expect("a name"));
    let from = |its: &str| json!({"secretKeyRef": {"name": key, "key": its}});
    assert_eq!(
        simulator["env"],
        json!([
            {"name": "ACCESS_KEY", "valueFrom": from("accessKey")},
            {"name": "SECRET_KEY", "valueFrom": from("secretKey")},
        ])
    );
    let keys = secret["stringData"].as_object().expect("values").keys();
    assert_eq!(keys.collect::<Vec<_>>(), ["accessKey", "secretKey"]);
}

#[test]
fn the_trial_is_the_base_and_a_simulator_that_may_no_more_than_the_operator() {
    let mut trial = built("deploy/try");
    let base = built("deploy/base");
    let is_deployment = |object: &Value| object["kind"] == "Deployment";
    let of_base = base.iter().find(|object| is_deployment(object));
    let of_trial = trial.iter_mut().find(|object| is_deployment(object));
    let (of_base, of_trial) = (of_base.expect("one"), of_trial.expect("one"));

    let pod = &mut of_trial["spec"]["template"]["spec"];
    let simulator = pod["initContainers"][0].take();
    let confined = &of_base["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    assert_eq!(simulator["securityContext"], *confined);
    // A sidecar: no restart of the operator's container is its end.
    assert_eq!(simulator["restartPolicy"], "Always");

    // But for it and the endpoints they are equal.
    pod.as_object_mut().expect("a pod").remove("initContainers");
    pod["containers"][0]["args"] = json!(["run"]);
    assert_eq!(of_trial, of_base);
    trial.retain(|object| name(object) != "swr-cloud");
    assert_eq!(trial, base);
}
