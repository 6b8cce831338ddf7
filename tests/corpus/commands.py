"""The names of the AWS CLI: one JSON line for each operation that it has a command for.

Usage: python3 commands.py > commands.jsonl
"""

import json

import awscli.clidriver

# Made by the CLI itself for pages, and not by its rule: the member is given by another option.
PAGING = "PageArgument"


def main():
    driver = awscli.clidriver.create_clidriver()
    for name, service in sorted(driver._get_command_table().items()):
        if not hasattr(service, "service_model"):
            continue
        # Two names of one service: the longer is an old one.
        if name == "runtime.sagemaker":
            continue
        for command, caller in service._get_command_table().items():
            model = getattr(caller, "_operation_model", None)
            # rds splits one operation into two commands.
            if model is None or command == "remove-option-from-option-group":
                continue
            members = model.input_shape.members if model.input_shape else {}
            options = {}
            for option, argument in caller.arg_table.items():
                member = getattr(argument, "_serialized_name", None)
                negative = option.startswith("no-") and member in options
                if member in members and not negative and type(argument).__name__ != PAGING:
                    options[member] = option
            print(json.dumps({
                "service": service.service_model.service_name,
                "cli": name,
                "operation": model.name,
                "command": command,
                "options": options,
            }))


if __name__ == "__main__":
    main()
