package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"
)

// noChecksum stands for the checksum of an archive that was not built. (Zeros would be a number in YAML.)
var noChecksum = strings.Repeat("f", sha256.Size*2)

// Asset is an archive that the manifest points to.
type Asset struct {
	OS, Arch string
	Bin      string // file in the archive that krew links
	URI      string
}

// Platform is os/arch.
func (a Asset) Platform() string { return a.OS + "/" + a.Arch }

// Name is the archive's file name.
func (a Asset) Name() string { return path.Base(a.URI) }

// Assets lists what the template points to.
func Assets(source, tag string) ([]Asset, error) {
	text, _, err := Render(source, tag, "")
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Spec struct {
			Platforms []struct {
				Selector struct {
					MatchLabels map[string]string `json:"matchLabels"`
				} `json:"selector"`
				URI string `json:"uri"`
				Bin string `json:"bin"`
			} `json:"platforms"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(text), &manifest); err != nil {
		return nil, fmt.Errorf("the filled-in manifest is no YAML: %w", err)
	}
	if len(manifest.Spec.Platforms) == 0 {
		return nil, errors.New("the manifest names no platforms")
	}
	var assets []Asset
	seen := map[string]string{}
	for i, p := range manifest.Spec.Platforms {
		a := Asset{OS: p.Selector.MatchLabels["os"], Arch: p.Selector.MatchLabels["arch"], Bin: p.Bin, URI: p.URI}
		if a.OS == "" || a.Arch == "" || a.Bin == "" || a.URI == "" {
			return nil, fmt.Errorf("platform %d of the manifest lacks os, arch, bin or uri: %+v", i, a)
		}
		if !strings.HasSuffix(a.Name(), "_"+a.OS+"_"+a.Arch+".tar.gz") {
			return nil, fmt.Errorf("the archive for %s is called %s: its name must end in _%s_%s.tar.gz", a.Platform(), a.Name(), a.OS, a.Arch)
		}
		for _, k := range []string{a.Platform(), a.Name()} {
			if before, ok := seen[k]; ok {
				return nil, fmt.Errorf("%s stands in the manifest twice (%s, %s)", k, before, a.URI)
			}
			seen[k] = a.URI
		}
		assets = append(assets, a)
	}
	return assets, nil
}

// Render fills in the template as krew-release-bot does, except that the archives are those in dist instead of
// downloaded ones. It also returns the archives that dist does not have; those get a checksum of f.
func Render(source, tag, dist string) (text string, missing []string, err error) {
	data := struct{ TagName string }{tag}
	addURIAndSha := func(uriTemplate, tag string) (string, error) {
		parsed, err := template.New("uri").Option("missingkey=error").Parse(uriTemplate)
		if err != nil {
			return "", fmt.Errorf("parse the address %q: %w", uriTemplate, err)
		}
		var uri strings.Builder
		if err := parsed.Execute(&uri, struct{ TagName string }{tag}); err != nil {
			return "", fmt.Errorf("fill in the address %q: %w", uriTemplate, err)
		}
		name := path.Base(uri.String())
		sum, err := checksum(filepath.Join(dist, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, name)
			sum = noChecksum
		case err != nil:
			return "", err
		}
		return "uri: " + uri.String() + "\n    sha256: " + sum, nil
	}
	parsed, err := template.New("manifest").Option("missingkey=error").
		Funcs(template.FuncMap{"addURIAndSha": addURIAndSha}).Parse(source)
	if err != nil {
		return "", nil, fmt.Errorf("parse the template: %w", err)
	}
	var b strings.Builder
	if err := parsed.Execute(&b, data); err != nil {
		return "", nil, fmt.Errorf("fill in the template: %w", err)
	}
	return b.String(), missing, nil
}

func checksum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
