"""
The generators of clients, and the commands that each takes.

The commands are those of docs/clients.md, which a test compares with these. They begin in an empty
folder that has the document as `openapi.json`.
"""

from dataclasses import dataclass, field
from typing import Final

#: The folder that holds the generated client.
CLIENT: Final = "receiver-client"

_GENERATOR_VERSION: Final = "7.26.0"
_GET_GENERATOR: Final = f"pip install openapi-generator-cli=={_GENERATOR_VERSION}"
#: A command goes on in the next line.
_GO_ON: Final = "\\\n    "
#: A member that is added to an answer later must not stop a client.
_LENIENT: Final = "disallowAdditionalPropertiesIfNotPresent=false"
_GENERATE: Final = f"openapi-generator-cli generate -i openapi.json -o {CLIENT}"
_GET_TYPESCRIPT: Final = "npm install typescript@5.9.3 @types/node@20.19.0"


@dataclass(frozen=True, slots=True)
class Generator:
    """A generator for one language, and the shell commands to use it."""

    name: str
    language: str
    version: str
    #: Programs that must be installed.
    needs: tuple[str, ...]
    #: Get the generator from a package registry.
    install: tuple[str, ...]
    generate: tuple[str, ...]
    #: Empty if no compiler is at hand for it.
    compile: tuple[str, ...] = ()
    #: Our program that uses the client: its file under `programs`, and where it is put.
    program: tuple[str, str] | None = None
    #: Compile and run that program.
    run: tuple[str, ...] = field(default=())

    @property
    def commands(self) -> str:
        """What a reader types to get a client that compiles."""
        return "\n".join((*self.install, *self.generate, *self.compile)) + "\n"


GENERATORS: Final = (
    Generator(
        name="openapi-generator python",
        language="Python",
        version=_GENERATOR_VERSION,
        needs=("java",),
        install=(_GET_GENERATOR,),
        generate=(f"{_GENERATE} -g python --package-name receiver_client",),
        compile=(f"pip install ./{CLIENT}",),
        program=("openapi_generator_python.py", "program.py"),
        run=("python -W error::SyntaxWarning program.py",),
    ),
    Generator(
        name="openapi-python-client",
        language="Python",
        version="0.29.1",
        needs=(),
        install=("pip install openapi-python-client==0.29.1",),
        generate=(f"openapi-python-client generate --path openapi.json --output-path {CLIENT}",),
        compile=(f"pip install ./{CLIENT}",),
        program=("openapi_python_client.py", "program.py"),
        run=("python program.py",),
    ),
    Generator(
        name="openapi-generator java",
        language="Java",
        version=_GENERATOR_VERSION,
        needs=("java", "mvn"),
        install=(_GET_GENERATOR,),
        generate=(
            # Every object of Java has a method `wait`.
            (
                f"{_GENERATE} -g java --library native {_GO_ON}"
                f"--invoker-package receiver.client --api-package receiver.client.api {_GO_ON}"
                f"--model-package receiver.client.model {_GO_ON}"
                "--additional-properties=useSingleRequestParameter=true "
                "--parameter-name-mappings wait=waitSeconds"
            ),
        ),
        compile=(f"mvn -q -f {CLIENT}/pom.xml package -Dmaven.test.skip=true",),
        program=("OpenapiGenerator.java", f"{CLIENT}/src/main/java/OpenapiGenerator.java"),
        run=(
            f"mvn -q -f {CLIENT}/pom.xml compile dependency:copy-dependencies",
            f"java -cp '{CLIENT}/target/classes:{CLIENT}/target/dependency/*' OpenapiGenerator",
        ),
    ),
    Generator(
        name="openapi-generator go",
        language="Go",
        version=_GENERATOR_VERSION,
        needs=("java", "go"),
        install=(_GET_GENERATOR,),
        generate=(
            (
                f"{_GENERATE} -g go --package-name receiver {_GO_ON}"
                f"--git-host example.com --git-user-id acme --git-repo-id receiver {_GO_ON}"
                f"--additional-properties={_LENIENT},enumClassPrefix=true"
            ),
        ),
        compile=(f"(cd {CLIENT} && go mod tidy && go build ./...)",),
        program=("openapi_generator.go", f"{CLIENT}/cmd/main.go"),
        run=(f"cd {CLIENT} && go run ./cmd",),
    ),
    Generator(
        name="oapi-codegen",
        language="Go",
        version="2.8.2",
        needs=("go",),
        install=("go install github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2",),
        generate=(
            f"mkdir {CLIENT}",
            "echo 'compatibility: {always-prefix-enum-values: true}' > oapi-codegen.yaml",
            (
                f"oapi-codegen -config oapi-codegen.yaml -generate types,client {_GO_ON}"
                f"-package receiver -o {CLIENT}/receiver.go openapi.json"
            ),
        ),
        compile=("go mod init example.com/acme/backend && go mod tidy", "go build ./..."),
        program=("oapi_codegen.go", "cmd/main.go"),
        run=("go mod tidy", "go run ./cmd"),
    ),
    Generator(
        name="openapi-generator typescript-fetch",
        language="TypeScript",
        version=_GENERATOR_VERSION,
        needs=("java", "npm"),
        install=(_GET_GENERATOR, _GET_TYPESCRIPT),
        generate=(f"{_GENERATE} -g typescript-fetch",),
        compile=(
            f"npx tsc --strict --target es2022 --module nodenext --outDir build {CLIENT}/*.ts",
        ),
        program=("openapi_generator.ts", "program.ts"),
        run=(
            "npx tsc --strict --target es2022 --module nodenext --outDir build program.ts",
            "node build/program.js",
        ),
    ),
    Generator(
        name="@hey-api/openapi-ts",
        language="TypeScript",
        version="0.99.0",
        needs=("npm",),
        install=("npm install @hey-api/openapi-ts@0.99.0", _GET_TYPESCRIPT),
        generate=(f"npx openapi-ts -i openapi.json -o {CLIENT}",),
        compile=(
            f"npx tsc --strict --target es2022 --module commonjs --outDir build {CLIENT}/*.ts",
        ),
        program=("hey_api.ts", "program.ts"),
        run=(
            "npx tsc --strict --target es2022 --module commonjs --outDir build program.ts",
            "node build/program.js",
        ),
    ),
    Generator(
        name="openapi-generator csharp",
        language="C#",
        version=_GENERATOR_VERSION,
        needs=("java",),
        install=(_GET_GENERATOR,),
        generate=(f"{_GENERATE} -g csharp --package-name Receiver.Client",),
    ),
)
