"""Prints every host that the endpoint rulesets of botocore produce.

One line each, tab separated: host, service, partition, region asked for, region signed for (`*`: several), signing name,
auth schemes. Every region × FIPS × dual-stack × what else a ruleset asks for and an operation states.
"""

import sys
import warnings

warnings.simplefilter("ignore")

from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader

ACCOUNT = "123456789012"


def extras(model, parameters):
    """What operations state (static context), with and without an account."""
    stated = [{}]
    for operation in model["operations"].values():
        static = {
            name: value["value"]
            for name, value in operation.get("staticContextParams", {}).items()
            if isinstance(value["value"], (str, bool))
        }
        if static not in stated:
            stated.append(static)
    if "UseGlobalEndpoint" in parameters:
        stated.append({"UseGlobalEndpoint": True})
    if "AccountIdEndpointMode" in parameters:
        account = {"AccountId": ACCOUNT, "AccountIdEndpointMode": "required"}
        stated += [{**extra, **account} for extra in list(stated)]
    return stated


def main():
    loader = Loader()
    partitions = loader.load_data("partitions")
    seen = set()
    for service in loader.list_available_services("service-2"):
        rules = loader.load_service_model(service, "endpoint-rule-set-1")
        model = loader.load_service_model(service, "service-2")
        metadata = model["metadata"]
        signing_name = metadata.get("signingName", metadata["endpointPrefix"])
        provider = EndpointProvider(rules, partitions)
        parameters = set(rules["parameters"])
        for partition in partitions["partitions"]:
            for region in partition["regions"]:
                # `aws-global` and the like: no host has them in its name.
                if region.endswith("-global"):
                    continue
                for extra in extras(model, parameters):
                    for fips in (False, True):
                        for dual_stack in (False, True):
                            given = {"Region": region, "UseFIPS": fips, "UseDualStack": dual_stack, **extra}
                            given = {name: value for name, value in given.items() if name in parameters}
                            try:
                                endpoint = provider.resolve_endpoint(**given)
                            except EndpointProviderError:
                                continue
                            host = endpoint.url.removeprefix("https://").split("/")[0]
                            schemes = endpoint.properties.get("authSchemes") or [{}]
                            first = next((s for s in schemes if s.get("name") != "sigv4a"), schemes[0])
                            row = (
                                host,
                                service,
                                partition["id"],
                                region,
                                first.get("signingRegion", region),
                                first.get("signingName", signing_name),
                                ",".join(scheme.get("name", "sigv4") for scheme in schemes),
                            )
                            if row not in seen:
                                seen.add(row)
                                sys.stdout.write("\t".join(row) + "\n")


main()
