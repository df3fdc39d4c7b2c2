package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// machine says what was measured on, as far as the system tells.
func machine() (lines []string) {
	cpu := systemField("/proc/cpuinfo", "model name")
	if cpu == "" {
		cpu = runtime.GOARCH
	}
	lines = append(lines, fmt.Sprintf("CPU: %s, %d cores for this process", cpu, runtime.GOMAXPROCS(0)))
	var memory int // in KiB
	if _, err := fmt.Sscan(systemField("/proc/meminfo", "MemTotal"), &memory); err == nil {
		lines = append(lines, fmt.Sprintf("Memory: %.1f GiB", float64(memory)/(1<<20)))
	}
	system := runtime.GOOS + "/" + runtime.GOARCH
	if name := strings.Trim(systemField("/etc/os-release", "PRETTY_NAME"), `"`); name != "" {
		system = name + ", " + system
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		system += ", kernel " + strings.TrimSpace(string(kernel))
	}
	lines = append(lines, "System: "+system, "Go: "+runtime.Version())
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				lines = append(lines, "Commit: "+s.Value)
			}
		}
	}
	if version, err := duckDBVersion(); err == nil {
		lines = append(lines, version)
	}
	return lines
}

// systemField returns what follows the first such name in a file of the system; nothing
// where there is none.
func systemField(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			key, value, ok = strings.Cut(lines.Text(), "=")
		}
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
