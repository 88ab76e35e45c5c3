package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"
)

// disk is what is asked of the file system. Tests make single calls fail.
type disk interface {
	Lstat(path string) (fs.FileInfo, error)
	Stat(path string) (fs.FileInfo, error)
	Readlink(path string) (string, error)
	ReadDir(path string) ([]fs.DirEntry, error)
	Mkdir(path string, mode fs.FileMode) error
	Open(path string, flag int, mode fs.FileMode) (file, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes what was created, renamed or removed in a folder last through a power cut.
	SyncDir(path string) error
}

type file interface {
	io.Reader
	io.WriterAt
	io.Closer
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

// system is the disk of the machine.
type system struct{}

func (system) Lstat(path string) (fs.FileInfo, error)     { return os.Lstat(path) }
func (system) Stat(path string) (fs.FileInfo, error)      { return os.Stat(path) }
func (system) Readlink(path string) (string, error)       { return os.Readlink(path) }
func (system) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }
func (system) Mkdir(path string, mode fs.FileMode) error  { return os.Mkdir(path, mode) }
func (system) Rename(from, to string) error               { return os.Rename(from, to) }
func (system) Remove(path string) error                   { return os.Remove(path) }

func (system) Open(path string, flag int, mode fs.FileMode) (file, error) {
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err // and not a nil file in an interface
	}
	return f, nil
}

func (system) SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there: NTFS keeps a log of its own of what they hold
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	err = f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil // some file systems (FUSE, SMB) have no such thing
	}
	return err
}
