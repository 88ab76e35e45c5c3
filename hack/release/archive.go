package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	mainPackage    = "./cmd/kubectl-stuck"
	versionPackage = "github.com/kubectl-stuck/kubectl-stuck/pkg/cli"
)

// Stamp is what a binary says of itself.
type Stamp struct{ Version, Commit, Date string }

// Flags are the linker flags that put the stamp in.
func (s Stamp) Flags() string {
	return fmt.Sprintf("-s -w -X %[1]s.version=%[2]s -X %[1]s.commit=%[3]s -X %[1]s.date=%[4]s",
		versionPackage, s.Version, s.Commit, s.Date)
}

// Select chooses the assets for host, all, or a list of os/arch. Asking for one that is not there is an error.
func Select(assets []Asset, platforms string) ([]Asset, error) {
	switch platforms {
	case "all":
		return assets, nil
	case "host":
		platforms = runtime.GOOS + "/" + runtime.GOARCH
	}
	var chosen []Asset
	for p := range strings.SplitSeq(platforms, ",") {
		i := slices.IndexFunc(assets, func(a Asset) bool { return a.Platform() == p })
		if i < 0 {
			return nil, fmt.Errorf("the manifest has no platform %s", p)
		}
		chosen = append(chosen, assets[i])
	}
	return chosen, nil
}

// Build compiles for one platform and packs the binary with the licence.
func Build(ctx context.Context, a Asset, s Stamp, dist string, log io.Writer) error {
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return fmt.Errorf("make a folder to build in: %w", err)
	}
	defer os.RemoveAll(work)
	binary := filepath.Join(work, a.Bin)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", s.Flags(), "-o", binary, mainPackage)
	cmd.Env = append(os.Environ(), "GOOS="+a.OS, "GOARCH="+a.Arch, "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build for %s: %w", a.Platform(), err)
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dist, err)
	}
	return Pack(filepath.Join(dist, a.Name()), []Packed{
		{Name: a.Bin, From: binary, Mode: 0o755},
		{Name: "LICENSE", From: "LICENSE", Mode: 0o644},
	})
}

// Packed is a file of an archive.
type Packed struct {
	Name, From string
	Mode       int64
}

// Pack writes a .tar.gz that depends on nothing but the files' contents, so that equal sources give equal checksums.
func Pack(name string, files []Packed) (err error) {
	out, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("make the archive: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	zipped, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zipped)
	for _, f := range files {
		if err := pack(archive, f); err != nil {
			return fmt.Errorf("pack %s into %s: %w", f.Name, name, err)
		}
	}
	return errors.Join(archive.Close(), zipped.Close())
}

func pack(archive *tar.Writer, f Packed) error {
	in, err := os.Open(f.From)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Mode: f.Mode, Size: info.Size(), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, in)
	return err
}

// Checksums writes checksums.txt for the archives that are there.
func Checksums(dist string, assets []Asset) error {
	var b strings.Builder
	for _, a := range assets {
		sum, err := checksum(filepath.Join(dist, a.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, a.Name())
	}
	if err := os.WriteFile(filepath.Join(dist, "checksums.txt"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write the checksums: %w", err)
	}
	return nil
}
