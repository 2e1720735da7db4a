"""Has SAM make the stack of the template, with and without Production, and cfn-lint look at it.

`sam validate` sees only the defaults, and AWS would be the first to see the rest.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
URI = "s3://a-bucket/a-key"

# SAM asks which region it is in before it looks at anything.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")


class NoPolicies(ManagedPolicyLoader):
    """The template names none of AWS's own policies, so nobody has to be asked for them."""

    def __init__(self) -> None:
        super().__init__(None)

    def load(self) -> dict[str, str]:
        return {}


def stack(**given: str) -> dict[str, object]:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for resource in template["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][name] = URI
    defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    return transform(template, defaults | given, NoPolicies())


def main() -> None:
    canaries = {"CrudFunctionDeploymentGroup", "StreamingFunctionDeploymentGroup"}
    for production in ("false", "true"):
        made = stack(Production=production, DatabaseUrl="mongodb://localhost")
        resources = made["Resources"]
        assert isinstance(resources, dict)
        groups = {name for name, resource in resources.items() if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup"}
        if groups != (canaries if production == "true" else set()):
            sys.exit(f"with Production={production} the stack has the canaries {groups}")
        if resources["CrudFunctionEventInvokeConfig"]["Properties"]["Qualifier"] != "live":
            sys.exit("retries apply to something else than the alias")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(made, file)
            file.flush()
            subprocess.run([pathlib.Path(sys.executable).with_name("cfn-lint"), file.name], check=True)
        print(f"Production={production}: {len(resources)} resources")


if __name__ == "__main__":
    main()
