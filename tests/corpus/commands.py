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
        # Two names of one service: the longer is an old one.
        if not hasattr(service, "service_model") or name == "runtime.sagemaker":
            continue
        found = {}
        for command, caller in service._get_command_table().items():
            model = getattr(caller, "_operation_model", None)
            if model is None:
                continue
            # Some have two names, of which one is hidden.
            commands, options, flags = found.setdefault(model.name, ([], {}, set()))
            commands.append(command)
            members = model.input_shape.members if model.input_shape else {}
            for option, argument in caller.arg_table.items():
                member = getattr(argument, "_serialized_name", None)
                if member not in members or type(argument).__name__ == PAGING:
                    continue
                options.setdefault(member, []).append(option)
                if members[member].type_name == "boolean":
                    flags.add(member)
        for operation, (commands, options, flags) in found.items():
            print(json.dumps({
                "service": service.service_model.service_name,
                "cli": name,
                "operation": operation,
                "commands": commands,
                "options": options,
                "flags": sorted(flags),
            }))


if __name__ == "__main__":
    main()
