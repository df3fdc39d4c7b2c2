package pgtest

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

//go:embed install npm/package.json npm/package-lock.json
var installFiles embed.FS

// installing keeps tests of one process from installing side by side.
var installing sync.Mutex

// programs returns the folder of the programs of a version, after installing
// them where that is wanted.
func programs(ctx context.Context, version int) (string, error) {
	installing.Lock()
	defer installing.Unlock()
	dir, err := os.MkdirTemp("", "usagebook-pgtest-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := unpack(dir); err != nil {
		return "", err
	}
	run := func(args ...string) (string, error) {
		args = append([]string{filepath.Join(dir, "install")}, args...)
		if version != 0 {
			args = append(args, strconv.Itoa(version))
		}
		cmd := exec.CommandContext(ctx, "sh", args...) // the folder may allow no programs
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if bin, err := run("find"); err == nil {
		return bin, nil
	}
	missing := ErrNotInstalled
	if version != 0 {
		missing = fmt.Errorf("%w: no version %d", ErrNotInstalled, version)
	}
	if os.Getenv("CI") == "" && os.Getenv("USAGEBOOK_INSTALL") == "" && os.Getuid() != 0 {
		return "", fmt.Errorf("%w; usage/postgresstore/pgtest/install installs it", missing)
	}
	said, err := run()
	if err != nil {
		return "", fmt.Errorf("%w: installing it: %w: %s", missing, err, said)
	}
	return run("find")
}

func unpack(dir string) error {
	return fs.WalkDir(installFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.Mkdir(to, 0o700)
		}
		data, err := installFiles.ReadFile(name)
		return errors.Join(err, os.WriteFile(to, data, 0o600))
	})
}
