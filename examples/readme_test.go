package examples_test

import (
	"bufio"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/examples/internal/walk"
)

// A block is a fenced block of a Markdown file.
type block struct {
	language string
	text     string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// readme returns the fenced blocks of the README in their order.
func readme(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	require.NoError(t, err)
	var blocks []block
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, block{language: m[1], text: m[2]})
	}
	return blocks
}

// readmeProgram returns the README's program and what the README says it prints.
func readmeProgram(t *testing.T) (program, output string) {
	t.Helper()
	blocks := readme(t)
	for i, b := range blocks {
		if b.language == "go" {
			require.Empty(t, program, "the README has one program; the test would miss a second")
			program = b.text
			require.Less(t, i+1, len(blocks))
			require.Equal(t, "text", blocks[i+1].language, "the block after the program is its output")
			output = blocks[i+1].text
		}
	}
	require.NotEmpty(t, program)
	return program, output
}

// root returns the absolute path of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	require.NoError(t, err)
	return dir
}

// run runs a command in dir and returns what it printed on standard output.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout = &stdout
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Run(), "%s %s\n%s%s", name, strings.Join(args, " "), &stdout, &stderr)
	return stdout.String()
}

func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	program, output := readmeProgram(t)

	formatted, err := format.Source([]byte(program))
	require.NoError(t, err)
	require.Equal(t, string(formatted), program, "gofmt")

	_, main, ok := strings.Cut(program, "func main() {\n")
	require.True(t, ok)
	lines := 0
	for line := range strings.Lines(main) {
		if strings.TrimSpace(line) != "}" {
			lines++
		}
	}
	require.LessOrEqual(t, lines, 15, "a first program is short; lone braces are not counted")

	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
	run(t, ".", nil, "go", "vet", file)
	require.Equal(t, output, run(t, ".", nil, "go", "run", file))
}

// Every command of the README is run here, or by CI, which is looked up.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()

	held := map[string]func(t *testing.T, commands string){
		"go run ./examples/quickstart": func(t *testing.T, command string) {
			require.Contains(t, run(t, root(t), nil, "sh", "-c", command), "Grand total")
		},
		"make test": func(t *testing.T, command string) {
			for _, file := range []string{".ci/run", ".github/workflows/ci.yml"} {
				text, err := os.ReadFile(filepath.Join(root(t), file))
				require.NoError(t, err)
				require.Regexp(t, `(?m)\b`+regexp.QuoteMeta(command)+` check\b`, string(text), file)
			}
		},
		"go mod edit -require=github.com/usagebook/usagebook@v0.0.0 -replace=github.com/usagebook/usagebook=../usagebook\ngo mod tidy": inClonesNeighbour,
		"go work init . ../usagebook":                                  inClonesNeighbour,
		"go run ./examples/server -config examples/server/config.json": withCurl,
	}

	found := map[string]bool{}
	for _, b := range readme(t) {
		if b.language != "sh" {
			continue
		}
		commands := strings.TrimSpace(b.text)
		if strings.HasPrefix(commands, "curl ") {
			continue // withCurl runs all of them
		}
		// The block at the top holds two commands that have nothing to do with one another.
		list := []string{commands}
		if held[commands] == nil {
			list = strings.Split(commands, "\n")
		}
		for _, command := range list {
			command, _, _ = strings.Cut(command, " #")
			command = strings.TrimSpace(command)
			found[command] = true
			t.Run(command, func(t *testing.T) {
				t.Parallel()
				require.Contains(t, held, command, "nothing runs this command of the README")
				held[command](t, command)
			})
		}
	}
	for command := range held {
		require.True(t, found[command], "the README no longer has %q", command)
	}
}

// inClonesNeighbour runs commands in the folder of a new module beside a clone, and then the
// README's program there. Nothing may be fetched: what a clone needs is what its tests needed.
func inClonesNeighbour(t *testing.T, commands string) {
	program, output := readmeProgram(t)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(root(t), filepath.Join(dir, "usagebook")))
	service := filepath.Join(dir, "service")
	require.NoError(t, os.Mkdir(service, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(service, "main.go"), []byte(program), 0o600))

	env := []string{"GOWORK=", "GOPROXY=off", "PWD=" + service}
	run(t, service, env, "go", "mod", "init", "example.org/service")
	run(t, service, env, "sh", "-e", "-c", commands)
	require.Equal(t, output, run(t, service, env, "go", "run", "."))
}

// withCurl runs the command of the server, on another port, and then the README's curl
// commands, whose answers follow them.
func withCurl(t *testing.T, command string) {
	args, ok := strings.CutPrefix(command, "go run ./examples/server ")
	require.True(t, ok)
	binary := filepath.Join(t.TempDir(), "server")
	run(t, root(t), nil, "go", "build", "-o", binary, "./examples/server")

	// In a folder of its own, where the book of its default store is a new one.
	args = strings.ReplaceAll(args, "examples/server/config.json", filepath.Join(root(t), "examples/server/config.json"))
	cmd := exec.CommandContext(t.Context(), binary, append(strings.Fields(args), "-addr", "127.0.0.1:0")...)
	cmd.Dir = t.TempDir()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	base, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)

	text, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(text), command+"   # listening on http://127.0.0.1:8080\n", "the default address")
	blocks, err := walk.Blocks(strings.ReplaceAll(string(text), "http://127.0.0.1:8080", base))
	require.NoError(t, err)
	var asked []walk.Block
	for i, b := range blocks {
		if strings.HasPrefix(b.Text, "curl ") {
			require.Less(t, i+1, len(blocks))
			asked = append(asked, b, blocks[i+1])
		}
	}
	require.NotEmpty(t, asked)
	session := walk.Session{Vars: map[string]string{}, Exact: true}
	require.NoError(t, session.Run(t.Context(), asked, nil))

	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait())
}
