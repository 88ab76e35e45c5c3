package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string, out, log io.Writer) error {
	if len(args) == 0 {
		return errors.New("no command given: release archives, manifest or platforms")
	}
	flags := flag.NewFlagSet("release "+args[0], flag.ContinueOnError)
	flags.SetOutput(log)
	var (
		version      = flags.String("version", "", "version, with its v")
		commit       = flags.String("commit", "", "commit of the source")
		date         = flags.String("date", "", "date of the source, RFC 3339")
		platforms    = flags.String("platforms", "all", "host, all, or a comma-separated list of os/arch")
		dist         = flags.String("dist", "dist", "folder of the archives")
		template     = flags.String("template", ".krew.yaml", "template of the krew manifest")
		allowMissing = flags.Bool("allow-missing", false, "put f for the checksum of an archive that was not built")
		output       = flags.String("o", "", "file to write")
	)
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments %q", flags.Args())
	}
	source, err := os.ReadFile(*template)
	if err != nil {
		return fmt.Errorf("read the template: %w", err)
	}
	tag := *version
	if args[0] == "platforms" && tag == "" {
		tag = "v0.0.0"
	}
	if !strings.HasPrefix(tag, "v") {
		return fmt.Errorf("version %q does not begin with v", tag)
	}
	assets, err := Assets(string(source), tag)
	if err != nil {
		return err
	}
	switch args[0] {
	case "platforms":
		for _, a := range assets {
			fmt.Fprintf(out, "%s\t%s\n", a.Platform(), a.Name())
		}
		return nil
	case "archives":
		chosen, err := Select(assets, *platforms)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		for _, a := range chosen {
			if err := Build(ctx, a, Stamp{Version: tag, Commit: *commit, Date: *date}, *dist, log); err != nil {
				return err
			}
			fmt.Fprintln(out, filepath.Join(*dist, a.Name()))
		}
		return Checksums(*dist, assets)
	case "manifest":
		if *output == "" {
			return errors.New("manifest needs -o FILE")
		}
		text, missing, err := Render(string(source), tag, *dist)
		if err != nil {
			return err
		}
		if len(missing) > 0 && !*allowMissing {
			return fmt.Errorf("not built: %s: run `make dist`", strings.Join(missing, ", "))
		}
		if err := os.WriteFile(*output, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the manifest: %w", err)
		}
		for _, m := range missing {
			fmt.Fprintln(log, "no checksum (not built):", m)
		}
		return nil
	}
	return fmt.Errorf("unknown command %q: release archives, manifest or platforms", args[0])
}
