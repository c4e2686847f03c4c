"""Judges the SWR simulator by Huawei Cloud's own Python SDK.

Everything that reaches the cloud's API goes through the SDK, its signer and its models; only the control surface is
spoken to directly. Nothing in here knows the operator.

Environment: SWR_ENDPOINT, SWR_REGION, SWR_PROJECT_ID, SWR_INSTANCE_ID, SWR_ACCESS_KEY, SWR_SECRET_KEY, and
SWR_SIMULATOR for the control surface. IAM, STS and what stands on a node answer at SWR_ENDPOINT, too. Registries are
made under names that begin with "sdk-" and removed at the end.
"""

import base64
import contextlib
import json
import logging
import os
import sys
import tempfile
import time
import urllib.request

from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.auth.internal import MetadataAccessor
from huaweicloudsdkcore.auth.provider import (
    EnvCredentialProvider,
    MetadataBasicCredentialProvider,
    OidcStsCredentialProvider,
    PodIdentityCredentialProvider,
)
from huaweicloudsdkcore.exceptions import exceptions
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkiam import v3 as iam
from huaweicloudsdksts import v1 as sts
from huaweicloudsdkswr import v2 as swr

ENDPOINT = os.environ["SWR_ENDPOINT"]
REGION = os.environ["SWR_REGION"]
PROJECT = os.environ["SWR_PROJECT_ID"]
INSTANCE = os.environ["SWR_INSTANCE_ID"]
SIMULATOR = os.environ["SWR_SIMULATOR"].rstrip("/").removesuffix("/_simulator")
ACCESS_KEY = os.environ["SWR_ACCESS_KEY"]
SECRET_KEY = os.environ["SWR_SECRET_KEY"]

# Two of the SDK's sources of credentials ask by another HTTP client, which would send loopback through a proxy.
os.environ["NO_PROXY"] = "*"

# Refusals are what the checks ask for; the SDK's log would repeat them on stderr.
for service in ("Swr", "Iam", "Sts"):
    logging.getLogger(f"HuaweiCloud-SDK-{service}Client").addHandler(logging.NullHandler())

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
    return client_of(credentials)


def client_of(credentials, kind=swr.SwrClient):
    builder = kind.new_builder().with_http_config(http_config())
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


def list_registries(through=None, **query):
    request = swr.ListInstanceRegistriesRequest(instance_id=INSTANCE, **query)
    return (through or CLIENT).list_instance_registries(request)


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


# Sources of credentials. Each one ends with a list of registries, for which the SDK gets its key by itself.


@contextlib.contextmanager
def variables(**values):
    """The environment that a pod would have."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def file_of(text):
    """A file with a token, as the kubelet projects one: with nothing else in it."""
    with tempfile.NamedTemporaryFile("w", suffix=".token") as file:
        file.write(text)
        file.flush()
        yield file.name


@contextlib.contextmanager
def metadata_service_here():
    # The address is wired into the SDK; nothing else of it is changed.
    before = MetadataAccessor._METADATA_ENDPOINT
    MetadataAccessor._METADATA_ENDPOINT = ENDPOINT
    try:
        yield
    finally:
        MetadataAccessor._METADATA_ENDPOINT = before


def jwt(audience, seconds=600):
    """An ID token; the simulator reads its claims and not its signature."""

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"iss": "https://kubernetes.default.svc", "aud": audience, "exp": int(time.time()) + seconds}
    return f"{part({'alg': 'RS256'})}.{part(claims)}.{part('signature')}"


def asked_since(mark):
    """What was asked for after a mark, as the journal names it; a list of registries is just "list"."""
    requests = control("GET", f"journal?after={mark}")["requests"]
    return [request["operation"].replace("ListInstanceRegistries", "list") for request in requests]


def mark():
    requests = control("GET", "journal")["requests"]
    return requests[-1]["seq"] if requests else 0


def trust():
    return control("GET", "trust")


def agency_urn():
    return f"iam::{trust()['domainId']}:agency:{trust()['agency']}"


def check_source(source, operations):
    """The key of a source opens SWR, is kept while it is good, and is got anew when it is about to end."""
    before = mark()
    through = client_of(source())
    equal(list_registries(through).status_code, 200)
    equal(list_registries(through).status_code, 200)
    equal(asked_since(before), [*operations, "list", "list"])
    # Sooner than the 40 minutes that the SDK wants a key to last: it asks each time.
    with switched(credential_ttl_seconds=600):
        before = mark()
        through = client_of(source())
        list_registries(through)
        n_asked = len(asked_since(before))
        list_registries(through)
        assert len(asked_since(before)) > n_asked + 1, asked_since(before)


def fails(call, *texts):
    """The SDK's sources say in various exceptions that they got nothing."""
    try:
        answer = call()
    except (exceptions.SdkException, exceptions.ServiceResponseException) as error:
        said = f"{getattr(error, 'status_code', '')} {getattr(error, 'error_msg', '')} {error}"
        missing = [text for text in texts if text not in said]
        assert not missing, f"{missing} not in {said}"
        return
    raise AssertionError(f"was answered: {answer}")


def federated(token_file):
    credentials = BasicCredentials(project_id=PROJECT).with_iam_endpoint(ENDPOINT)
    return credentials.with_idp_id(trust()["idpId"]).with_id_token_file(token_file)


@check
def id_tokens_give_keys_of_old_iam():
    operations = ["CreateUnscopedTokenByIdToken", "CreateTemporaryAccessKeyByToken"]
    with file_of(jwt(trust()["audience"])) as path:
        check_source(lambda: federated(path), operations)
        pod = {
            "HUAWEICLOUD_SDK_IDP_ID": trust()["idpId"],
            "HUAWEICLOUD_SDK_ID_TOKEN_FILE": path,
            "HUAWEICLOUD_SDK_IAM_ENDPOINT": ENDPOINT,
            "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT,
        }
        with variables(**pod):
            check_source(lambda: EnvCredentialProvider.get_basic().get_credentials(), operations)
    for wrong in (jwt("other"), jwt(trust()["audience"], seconds=-1), "text"):
        with file_of(wrong) as path:
            fails(lambda: list_registries(client_of(federated(path))), "401", "ID token")


def oidc(token_file):
    # The SDK takes the project of this source from the environment only.
    with variables(HUAWEICLOUD_SDK_PROJECT_ID=PROJECT):
        return OidcStsCredentialProvider(
            "basic",
            provider_urn=f"iam::{trust()['domainId']}:oidcProvider:{trust()['oidcProvider']}",
            agency_urn=agency_urn(),
            id_token_file=token_file,
            sts_endpoint=ENDPOINT,
        ).get_credentials()


@check
def id_tokens_give_keys_of_sts():
    with file_of(jwt(["other", trust()["audience"]])) as path:
        check_source(lambda: oidc(path), ["AssumeAgencyWithOIDC"])
    for wrong in (jwt("other"), jwt(trust()["audience"], seconds=-1), "text"):
        with file_of(wrong) as path:
            fails(lambda: list_registries(client_of(oidc(path))), "401", "ID token")


def node():
    provider = MetadataBasicCredentialProvider()
    provider.project_id = PROJECT
    return provider.get_credentials()


@check
def nodes_give_keys_by_their_metadata_service():
    with metadata_service_here():
        check_source(node, ["MetadataToken", "MetadataSecurityKey"])
        # The SDK asks for a token a second time when the service has forgotten the first.
        with switched(credential_ttl_seconds=600):
            through = client_of(node())
            control("DELETE", "metadata-tokens")
            before = mark()
            list_registries(through)
            again = ["MetadataSecurityKey", "MetadataToken", "MetadataSecurityKey", "list"]
            equal(asked_since(before), again)
        for old in ("404", "405", "503"):
            with switched(metadata_token=old):
                check_source(node, ["MetadataToken", "MetadataSecurityKey"])
        with switched(ecs_agency="absent"):
            fails(node, "401", "Please configure Cloud Service Agency first")


@check
def pod_identity_gives_keys_in_each_spelling():
    def pod():
        return PodIdentityCredentialProvider.get_basic().get_credentials().with_project_id(PROJECT)

    uri = {"HC_CONTAINER_CREDENTIALS_FULL_URI": f"{ENDPOINT}/pod-identity/credentials"}
    with file_of(jwt(trust()["podAudience"])) as path:
        with variables(**uri, HC_CONTAINER_AUTHORIZATION_TOKEN_FILE=path):
            for spelling in ("credential", "credentials", "flat"):
                with switched(pod_identity_reply=spelling):
                    check_source(pod, ["PodIdentityCredentials"])
    for wrong in (jwt("other"), jwt(trust()["podAudience"], seconds=-1), "text"):
        with file_of(wrong) as path:
            with variables(**uri, HC_CONTAINER_AUTHORIZATION_TOKEN_FILE=path):
                fails(pod, "401")


def own_iam(secret_key=SECRET_KEY):
    return client_of(GlobalCredentials(ACCESS_KEY, secret_key, trust()["domainId"]), iam.IamClient)


def key_of_agency(through, **role):
    role = {"agency_name": trust()["agency"], "domain_name": trust()["domainName"], **role}
    identity = iam.AgencyAuthIdentity(methods=["assume_role"], assume_role=iam.IdentityAssumerole(**role))
    body = iam.CreateTemporaryAccessKeyByAgencyRequestBody(auth=iam.AgencyAuth(identity=identity))
    request = iam.CreateTemporaryAccessKeyByAgencyRequest(body=body)
    return through.create_temporary_access_key_by_agency(request)


def check_key(key):
    through = client(key.access, key.secret, security_token=key.securitytoken)
    equal(list_registries(through).status_code, 200)
    return through


@check
def agencies_of_old_iam_give_keys():
    made = key_of_agency(own_iam(), duration_seconds=900)
    equal(made.status_code, 201)
    check_key(made.credential)
    wrong = own_iam(secret_key="wrong")
    fails(lambda: key_of_agency(wrong), "401", "verify aksk signature fail")
    fails(lambda: key_of_agency(own_iam(), agency_name="other"), "403", "agency")
    fails(lambda: key_of_agency(own_iam(), duration_seconds=899), "400", "duration_seconds")


@check
def agencies_of_sts_give_keys():
    # The SDK takes STS for a regional service and sends a project, which STS does not look at.
    def assume(through, **fields):
        body = {"agency_urn": agency_urn(), "agency_session_name": "conformance", **fields}
        request = sts.AssumeAgencyRequest(body=sts.AssumeAgencyReqBody(**body))
        return through.assume_agency(request).credentials

    own = client_of(BasicCredentials(ACCESS_KEY, SECRET_KEY, PROJECT), sts.StsClient)
    key = assume(own, duration_seconds=900)
    through = client(key.access_key_id, key.secret_access_key, security_token=key.security_token)
    equal(list_registries(through).status_code, 200)
    # A temporary key can assume an agency, too, but for an hour at most.
    temporary = BasicCredentials(key.access_key_id, key.secret_access_key, PROJECT)
    chained = client_of(temporary.with_security_token(key.security_token), sts.StsClient)
    assume(chained, duration_seconds=3_600)
    fails(lambda: assume(chained, duration_seconds=3_601), "400", "duration_seconds")
    fails(lambda: assume(own, agency_urn="iam::other:agency:other"), "403", "agency")
    fails(lambda: assume(own, duration_seconds=43_201), "400", "duration_seconds")


@check
def passwords_give_tokens_and_tokens_give_keys():
    def password_token(password, project):
        domain = iam.PwdPasswordUserDomain(name="acme")
        user = iam.PwdPasswordUser(name="robot", password=password, domain=domain)
        identity = iam.PwdIdentity(methods=["password"], password=iam.PwdPassword(user=user))
        auth = iam.PwdAuth(identity=identity, scope=iam.AuthScope(project=project))
        body = iam.KeystoneCreateUserTokenByPasswordRequestBody(auth=auth)
        request = iam.KeystoneCreateUserTokenByPasswordRequest(body=body)
        return own_iam().keystone_create_user_token_by_password(request)

    def agency_token():
        role = iam.AgencyTokenAssumerole(agency_name=trust()["agency"], domain_id=trust()["domainId"])
        identity = iam.AgencyTokenIdentity(methods=["assume_role"], assume_role=role)
        scope = iam.AgencyTokenScope(project=iam.AgencyTokenScopeProject(name=REGION))
        body = iam.KeystoneCreateAgencyTokenRequestBody(auth=iam.AgencyTokenAuth(identity=identity, scope=scope))
        return own_iam().keystone_create_agency_token(iam.KeystoneCreateAgencyTokenRequest(body=body))

    def key_of_token(token):
        identity = iam.TokenAuthIdentity(methods=["token"], token=iam.IdentityToken(id=token, duration_seconds=900))
        body = iam.CreateTemporaryAccessKeyByTokenRequestBody(auth=iam.TokenAuth(identity=identity))
        request = iam.CreateTemporaryAccessKeyByTokenRequest(body=body)
        return own_iam().create_temporary_access_key_by_token(request)

    by_name, by_id = iam.AuthScopeProject(name=REGION), iam.AuthScopeProject(id=PROJECT)
    control("PUT", "user", {"domain": "acme", "name": "robot", "password": "hunter2"})
    try:
        for made in (password_token("hunter2", by_name), password_token("hunter2", by_id), agency_token()):
            equal((made.status_code, made.token.project.id, made.token.project.name), (201, PROJECT, REGION))
            check_key(key_of_token(made.x_subject_token).credential)
            journal = json.dumps(control("GET", "journal"))
            assert "hunter2" not in journal and made.x_subject_token not in journal, "a secret in the journal"
        fails(lambda: password_token("wrong", by_name), "401", "password")
        fails(lambda: key_of_token("wrong"), "401", "token")
    finally:
        control("DELETE", "user")


@check
def keys_that_were_revoked_or_have_expired_are_401():
    through = check_key(key_of_agency(own_iam()).credential)
    control("DELETE", "tokens")
    refused(lambda: list_registries(through), 401, "APIGW.0301")
    with switched(credential_ttl_seconds=1):
        key = key_of_agency(own_iam()).credential
    through = client(key.access, key.secret, security_token=key.securitytoken)
    deadline = time.monotonic() + 15
    while True:
        try:
            list_registries(through)
        except exceptions.ClientRequestException as error:
            equal((error.status_code, error.error_code), (401, "APIGW.0301"))
            assert "expired" in error.error_msg, error.error_msg
            return
        assert time.monotonic() < deadline, "still good"


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
