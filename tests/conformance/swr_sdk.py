"""Judges the SWR simulator by Huawei Cloud's own Python SDK.

Everything that reaches the cloud's API goes through the SDK, its signer and its models; only the control surface is
spoken to directly. Nothing in here knows the operator.

Environment: SWR_ENDPOINT, SWR_REGION, SWR_PROJECT_ID, SWR_INSTANCE_ID, SWR_ACCESS_KEY, SWR_SECRET_KEY, and
SWR_SIMULATOR for the control surface. Registries are made under names that begin with "sdk-" and removed at the end.
"""

import contextlib
import json
import logging
import os
import sys
import urllib.request

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions import exceptions
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkswr import v2 as swr

ENDPOINT = os.environ["SWR_ENDPOINT"]
REGION = os.environ["SWR_REGION"]
PROJECT = os.environ["SWR_PROJECT_ID"]
INSTANCE = os.environ["SWR_INSTANCE_ID"]
SIMULATOR = os.environ["SWR_SIMULATOR"].rstrip("/").removesuffix("/_simulator")
ACCESS_KEY = os.environ["SWR_ACCESS_KEY"]
SECRET_KEY = os.environ["SWR_SECRET_KEY"]

# Refusals are what the checks ask for; the SDK's log would repeat them on stderr.
logging.getLogger("HuaweiCloud-SDK-SwrClient").addHandler(logging.NullHandler())

PREFIX = "sdk-"
MASK = "*****"
CHECKS = []


def check(function):
    """Adds a check; its name is the sentence that it proves."""
    CHECKS.append(function)
    return function


# The control surface.


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{SIMULATOR}/_simulator/{path}", data=data, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as reply:
        return json.load(reply)


def truth(registry_id):
    registries = control("GET", f"registries?instance={INSTANCE}")["registries"]
    return next((its for its in registries if its["id"] == registry_id), None)


@contextlib.contextmanager
def switched(**switches):
    """Other answers of the service for a while."""
    before = control("GET", "switches")
    control("PUT", "switches", switches)
    try:
        yield
    finally:
        control("PUT", "switches", {name: before[name] for name in switches})


@contextlib.contextmanager
def fault(**script):
    """A scripted fault, for a while."""
    number = control("POST", "faults", script)["id"]
    try:
        yield
    finally:
        control("DELETE", f"faults/{number}")


# The SDK.


def client(access_key=ACCESS_KEY, secret_key=SECRET_KEY, project=PROJECT, security_token=None):
    credentials = BasicCredentials(access_key, secret_key, project)
    if security_token:
        credentials = credentials.with_security_token(security_token)
    builder = swr.SwrClient.new_builder().with_http_config(http_config())
    return builder.with_credentials(credentials).with_endpoint(ENDPOINT).build()


def http_config():
    config = HttpConfig.get_default_config()
    config.timeout = (5, 15)
    return config


CLIENT = client()


def create(body, instance=INSTANCE, through=None):
    request = swr.CreateInstanceRegistryRequest(instance_id=instance, body=body)
    return (through or CLIENT).create_instance_registry(request)


def show(registry_id, instance=INSTANCE, through=None):
    request = swr.ShowInstanceRegistryRequest(instance_id=instance, registry_id=registry_id)
    return (through or CLIENT).show_instance_registry(request)


def update(registry_id, body):
    request = swr.UpdateInstanceRegistryRequest(instance_id=INSTANCE, registry_id=registry_id, body=body)
    return CLIENT.update_instance_registry(request)


def delete(registry_id):
    request = swr.DeleteInstanceRegistryRequest(instance_id=INSTANCE, registry_id=registry_id)
    return CLIENT.delete_instance_registry(request)


def list_registries(**query):
    return CLIENT.list_instance_registries(swr.ListInstanceRegistriesRequest(instance_id=INSTANCE, **query))


def body(kind, fields):
    """A request body of the SDK's own class, from plain values."""
    fields = dict(fields)
    fields["credential"] = swr.Credential(**fields["credential"])
    if "dns_conf" in fields:
        fields["dns_conf"] = swr.DnsConf(**fields["dns_conf"])
    return kind(**fields)


def harbor(name):
    return {
        "name": name,
        "description": "disaster recovery",
        "type": "swr-pro",
        "url": "https://harbor.example.com:8443",
        "credential": {"type": "basic", "access_key": "robot$push", "access_secret": "h4rbor p@ss"},
        "dns_conf": {"hosts": {"harbor.example.com": "192.0.2.10", "notary.example.com": "2001:db8::10"}},
        "insecure": False,
    }


def enterprise(name):
    return {
        "name": name,
        "description": "other region",
        "type": "swr-pro-internal",
        "project_id": "target-project",
        "region_id": "cn-east-3",
        "instance_id": "target-instance",
        "url": "https://target.swr-pro.example.com",
        "credential": {"type": "basic", "access_key": "user-1", "access_secret": "s3cret"},
        "insecure": True,
    }


def basic(name):
    return {
        "name": name,
        "description": "",
        "type": "huawei-SWR",
        "url": "https://swr.cn-east-3.example.com",
        "credential": {"type": "basic", "access_key": "cn-east-3@AK", "access_secret": "login key"},
        "insecure": True,
    }


def make(fields):
    return create(body(swr.CreateRegistryRequestBody, fields)).id


# Fields that the SDK's model of a reply has; the others never come back through it.
SEEN = ("name", "description", "type", "region_id", "instance_id", "url", "insecure")


def equal(seen, wanted):
    assert seen == wanted, f"{seen!r} is not {wanted!r}"


def check_shown(registry, fields):
    """What a GET or a list item shows of a registry with these fields."""
    equal({name: getattr(registry, name) for name in SEEN}, {name: fields.get(name) for name in SEEN})
    credential = registry.credential
    wanted = fields["credential"]
    equal(
        (credential.type, credential.access_key, credential.access_secret),
        (wanted["type"], wanted["access_key"], MASK),
    )
    equal(registry.status, "healthy")
    assert registry.created_at <= registry.updated_at, (registry.created_at, registry.updated_at)


def check_stored(registry_id, fields):
    """What the cloud really holds: all fields that were sent, the secret too, and nothing that was not sent."""
    stored = truth(registry_id)
    names = ("name", "description", "type", "project_id", "region_id", "instance_id", "url", "credential", "dns_conf")
    equal({name: stored[name] for name in names}, {name: fields.get(name) for name in names})


def refused(call, status, code, kind=exceptions.ClientRequestException):
    """The exception that the SDK makes of a refusal."""
    try:
        answer = call()
    except exceptions.ServiceResponseException as error:
        equal((type(error), error.status_code, error.error_code), (kind, status, code))
        assert error.error_msg, "the SDK found no message"
        assert error.request_id and len(error.request_id) == 32, f"request id {error.request_id!r}"
        return error
    raise AssertionError(f"was answered: {answer}")


def check_life(fields, change):
    """Create, show, list, update, show, delete, show."""
    made = create(body(swr.CreateRegistryRequestBody, fields))
    equal(made.status_code, 201)
    check_shown(show(made.id), fields)
    check_stored(made.id, fields)
    found = list_registries(name=fields["name"])
    equal(found.total, 1)
    check_shown(found.registries[0], fields)
    changed = {**fields, **change}
    changed = {name: value for name, value in changed.items() if value is not None}
    updated = update(made.id, body(swr.UpdateRegistryRequestBody, changed))
    equal((updated.status_code, updated.raw_content), (200, b""))
    check_shown(show(made.id), {"description": "", **changed})
    check_stored(made.id, {"description": "", **changed})
    deleted = delete(made.id)
    equal((deleted.status_code, deleted.raw_content), (200, b""))
    refused(lambda: show(made.id), 404, "SWR.404001")
    equal(truth(made.id), None)


@check
def a_harbor_registry_lives_its_life():
    check_life(
        harbor("sdk-harbor"),
        {
            "name": "sdk-harbor-renamed",
            "url": "https://harbor.example.net",
            "dns_conf": None,
            "credential": {"type": "basic", "access_key": "robot$push", "access_secret": "rotated"},
        },
    )


@check
def an_enterprise_registry_lives_its_life():
    check_life(enterprise("sdk-enterprise"), {"region_id": "cn-south-1", "description": None})


@check
def a_basic_registry_lives_its_life():
    check_life(basic("sdk-basic"), {"description": "镜像 \"quoted\" \\ and\nmore", "insecure": False})


@check
def more_than_a_hundred_registries_are_listed_page_by_page():
    made = [make(basic(f"sdk-page-{number:03}")) for number in range(105)]
    first = list_registries(name="sdk-page-", offset=0, limit=100)
    second = list_registries(name="sdk-page-", offset=100, limit=100)
    equal((first.total, len(first.registries), second.total, len(second.registries)), (105, 100, 105, 5))
    newest_first = [registry.id for registry in first.registries + second.registries]
    equal(newest_first, sorted(made, reverse=True))
    equal(len(list_registries(name="sdk-page-").registries), 10)
    ordered = list_registries(name="sdk-page-", order_column="name", order_type="asc", offset=0, limit=2)
    equal([registry.name for registry in ordered.registries], ["sdk-page-000", "sdk-page-001"])


@check
def lists_are_filtered_by_name_and_type():
    make(harbor("sdk-filter-镜像-A"))
    make(basic("sdk-filter-镜像-B"))
    make(basic("sdk-filter-other"))

    def names(**query):
        return sorted(registry.name for registry in list_registries(**query).registries)

    equal(names(name="sdk-filter-镜像"), ["sdk-filter-镜像-A", "sdk-filter-镜像-B"])
    equal(names(name="sdk-filter-", type="swr-pro"), ["sdk-filter-镜像-A"])
    equal(names(name="sdk-filter- +&=/~%"), [])


@check
def instances_are_shown_listed_and_counted():
    shown = CLIENT.show_instance(swr.ShowInstanceRequest(instance_id=INSTANCE))
    equal((shown.id, shown.status, shown.project_id), (INSTANCE, "Running", PROJECT))
    listed = CLIENT.list_instance(swr.ListInstanceRequest(offset=0, limit=100, status="Running"))
    assert INSTANCE in [instance.id for instance in listed.instances], listed
    request = swr.ListInstanceStatisticsRequest(instance_id=INSTANCE)
    before = CLIENT.list_instance_statistics(request)
    make(basic("sdk-counted"))
    after = CLIENT.list_instance_statistics(request)
    equal(after.replica_registry_count, before.replica_registry_count + 1)
    assert after.replica_registry_quota >= after.replica_registry_count, after


@check
def the_project_is_found_by_the_region():
    credentials = BasicCredentials(ACCESS_KEY, SECRET_KEY).with_iam_endpoint(ENDPOINT)
    builder = swr.SwrClient.new_builder().with_http_config(http_config()).with_credentials(credentials)
    found = builder.with_region(Region(REGION, ENDPOINT)).build()
    equal(found.get_credentials().project_id, PROJECT)
    found.list_instance(swr.ListInstanceRequest())


@check
def temporary_keys_work_with_their_token():
    keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    control("PUT", "credential", {**keys, "securityToken": "t0ken+/=="})
    try:
        temporary = client(security_token="t0ken+/==")
        registry = create(body(swr.CreateRegistryRequestBody, basic("sdk-temporary")), through=temporary).id
        equal(show(registry, through=temporary).name, "sdk-temporary")
        refused(lambda: show(registry), 401, "APIGW.0301")
    finally:
        control("PUT", "credential", keys)


@check
def invalid_bodies_are_400():
    error = refused(lambda: make(basic("sdk name with blanks")), 400, "SVCSTG.SWR.4001025")
    assert "name" in error.error_msg, error.error_msg
    refused(lambda: make({**enterprise("sdk-invalid"), "project_id": ""}), 400, "SVCSTG.SWR.4001025")
    refused(lambda: list_registries(offset=5, limit=10), 400, "SVCSTG.SWR.4001025")


@check
def wrong_keys_are_401():
    refused(lambda: show(1, through=client(secret_key="wrong")), 401, "APIGW.0301")
    refused(lambda: show(1, through=client(access_key="wrong")), 401, "APIGW.0301")


@check
def missing_permissions_are_403():
    with switched(deny="writes"):
        error = refused(lambda: make(basic("sdk-denied")), 403, "SVCSTG.SWR.4030170")
        assert error.encoded_auth_msg, "the SDK found no encoded message"
    with switched(deny="writes", denied_reply="gateway"):
        refused(lambda: make(basic("sdk-denied")), 403, "APIGW.0302")
    with switched(deny="writes", denied_reply="array"):
        refused(lambda: make(basic("sdk-denied")), 403, "403")


@check
def other_projects_are_403():
    refused(lambda: show(1, through=client(project="other")), 403, "APIGW.0310")


@check
def what_is_not_there_is_404():
    refused(lambda: show(2_000_000_000), 404, "SWR.404001")
    refused(lambda: update(2_000_000_000, body(swr.UpdateRegistryRequestBody, basic("sdk-none"))), 404, "SWR.404001")
    refused(lambda: delete(2_000_000_000), 404, "SWR.404001")
    error = refused(lambda: show(1, instance="ffffffff-0000-0000-0000-000000000000"), 404, "SWR.404000")
    assert "instance" in error.error_msg, error.error_msg
    # A path that the simulator does not publish is the gateway's 404, which says nothing about registries.
    request = swr.ShowInstanceConfigurationRequest(instance_id=INSTANCE)
    refused(lambda: CLIENT.show_instance_configuration(request), 404, "APIGW.0101")


@check
def names_in_use_are_409():
    make(basic("sdk-taken"))
    error = refused(lambda: make(harbor("sdk-taken")), 409, "SWR.409001")
    assert "already exists" in error.error_msg, error.error_msg
    other = make(basic("sdk-free"))
    rename = body(swr.UpdateRegistryRequestBody, basic("sdk-taken"))
    refused(lambda: update(other, rename), 409, "SWR.409001")


@check
def registries_in_use_are_412():
    registry = make(basic("sdk-used"))
    control("PUT", f"policies?instance={INSTANCE}", {"registries": [registry]})
    try:
        refused(lambda: delete(registry), 412, "SWR.412001")
    finally:
        control("PUT", f"policies?instance={INSTANCE}", {"registries": []})
    delete(registry)


@check
def throttled_requests_are_429():
    with switched(throttle="all", throttle_requests=0):
        try:
            show(1)
        except exceptions.ClientRequestException as error:
            # The SDK's HTTP client gives up on a 429 before the body is read: no code of the gateway, no request id.
            equal((error.status_code, error.error_code, error.request_id), (429, "429", ""))
            return
        raise AssertionError("was answered")


@check
def failures_of_the_service_are_server_errors():
    with fault(kind="status", status=503, match={"operation": "ShowInstanceRegistry", "instance": INSTANCE}):
        refused(lambda: show(1), 503, "APIGW.0201", exceptions.ServerResponseException)


@check
def connections_that_break_are_connection_errors():
    with fault(kind="reset", match={"operation": "ShowInstanceRegistry", "instance": INSTANCE}):
        try:
            show(1)
        except exceptions.ConnectionException:
            return
        raise AssertionError("was answered")


@check
def ids_above_31_bits_are_read():
    with switched(id_style="large"):
        registry = make(basic("sdk-large"))
        assert registry > 2**31, registry
        equal(show(registry).id, registry)


def remove_ours():
    for registry in control("GET", f"registries?instance={INSTANCE}")["registries"]:
        if registry["name"].startswith(PREFIX):
            control("DELETE", f"registries/{registry['id']}?instance={INSTANCE}")


def main():
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        remove_ours()
        try:
            function()
        except Exception as error:  # A check that breaks has failed; the others still run.
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
        else:
            print(f"ok   {name}", flush=True)
    remove_ours()
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
