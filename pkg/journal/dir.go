package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
)

// folder is what the journal's own folder is called.
const folder = "kubectl-stuck"

// Dir is where the journal is kept unless --journal says otherwise: kubectl-stuck in $XDG_STATE_HOME or, where that is not set or not absolute (the
// XDG Base Directory Specification has relative values ignored), in ~/.local/state, on macOS too. On Windows it is %LOCALAPPDATA%, which does not
// wander from machine to machine as %APPDATA% does. Nothing is looked at or made.
func Dir(getenv func(string) string) (string, error) { return dirOn(runtime.GOOS, getenv) }

func dirOn(system string, getenv func(string) string) (string, error) {
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, folder), nil
	}
	home, set := getenv("HOME"), "HOME"
	if system == "windows" {
		if local := getenv("LOCALAPPDATA"); filepath.IsAbs(local) {
			return filepath.Join(local, folder), nil
		}
		home, set = getenv("USERPROFILE"), "LOCALAPPDATA"
	}
	if !filepath.IsAbs(home) {
		return "", fmt.Errorf("nobody knows where the journal is: neither XDG_STATE_HOME nor %s is set to an absolute path; name a folder with --journal DIR", set)
	}
	return filepath.Join(home, ".local", "state", folder), nil
}

// makeDir makes the folder with those above it that are missing, for their owner alone, and makes sure that nobody else can write to it.
func makeDir(d disk, dir string) error {
	info, err := d.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeMissing(d, dir); err != nil {
			return err
		}
		info, err = d.Lstat(dir)
	}
	if err != nil {
		return err
	}
	return trusted(d, dir, info)
}

// makeMissing makes a folder that does not exist, after those above it, and syncs what it is in: a folder that a power cut takes away takes its files
// with it.
func makeMissing(d disk, dir string) error {
	parent := filepath.Dir(dir)
	if _, err := d.Stat(parent); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeMissing(d, parent); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := d.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) { // another run was faster
			return nil
		}
		return err
	}
	if err := d.SyncDir(parent); err != nil {
		return errors.Join(err, d.Remove(dir))
	}
	return nil
}

// trusted refuses a folder that others could put files into, or that is another than the one that was named.
func trusted(d disk, dir string, info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := d.Readlink(dir)
		if err != nil {
			to = "somewhere else"
		}
		return fmt.Errorf("%s is a symbolic link to %s: name the folder itself", dir, to)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	}
	if !modesCount {
		return nil
	}
	if uid, mine := owned(info); !mine {
		return fmt.Errorf("%s belongs to another user (UID %d), who could change what is in it", dir, uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write to %s (mode %#o): chmod go-w %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}
