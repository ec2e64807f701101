// Command tlogcheck reads a transparency log with Go's golang.org/x/mod/sumdb
// packages, for the tests to hold obreia's against.
//
//	tlogcheck log DIR KEY         verifies every record of the log in DIR
//	tlogcheck proof KEY < FILE    verifies a c2sp.org/tlog-proof; the record
//	                              it is of, in hex, is the first line of FILE
//	tlogcheck growth KEY EARLIER < FILE
//	                              verifies that the log grew from the checkpoint
//	                              in EARLIER; FILE is what c2sp.org/tlog-witness
//	                              has logs send to witnesses
//	tlogcheck sign PRIVATE < TEXT signs a note
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tlogcheck:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "log":
		return checkLog(args[1], args[2])
	case len(args) == 2 && args[0] == "proof":
		return checkProof(args[1])
	case len(args) == 3 && args[0] == "growth":
		return checkGrowth(args[1], args[2])
	case len(args) == 2 && args[0] == "sign":
		return sign(args[1])
	}
	return fmt.Errorf("want log DIR KEY, proof KEY, growth KEY EARLIER or sign PRIVATE")
}

// open verifies a checkpoint and returns the tree that it is of.
func open(msg []byte, key string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: hash}, err
}

// tiles reads tiles of height 8 from a folder. C2SP's paths leave the height
// out that Go's have.
type tiles string

func (dir tiles) Height() int { return 8 }

func (dir tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (dir tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(string(dir), path))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path, len(data))
		}
		all = append(all, data)
	}
	return all, nil
}

func checkLog(dir, key string) error {
	msg, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := open(msg, key)
	if err != nil {
		return err
	}
	// Verifies every hash that it gives against the tree's.
	hashes := tlog.TileHashReader(tree, tiles(dir))
	for first := int64(0); first < tree.N; first += 256 {
		width := min(tree.N-first, 256)
		entry := tlog.Tile{H: 8, L: 0, N: first / 256, W: int(width)}
		path := "tile/entries/" + strings.TrimPrefix(entry.Path(), "tile/8/0/")
		bundle, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		for at := first; at < first+width; at++ {
			if len(bundle) < 2 {
				return fmt.Errorf("%s ends before record %d", path, at)
			}
			size := int(binary.BigEndian.Uint16(bundle))
			if len(bundle) < 2+size {
				return fmt.Errorf("%s ends inside of record %d", path, at)
			}
			record := bundle[2 : 2+size]
			bundle = bundle[2+size:]
			found, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, at)})
			if err != nil {
				return err
			}
			if found[0] != tlog.RecordHash(record) {
				return fmt.Errorf("record %d is not the one in the tree", at)
			}
			if at%97 == 0 || at == tree.N-1 {
				proof, err := tlog.ProveRecord(tree.N, at, hashes)
				if err != nil {
					return err
				}
				if err := tlog.CheckRecord(proof, tree.N, tree.Hash, at, tlog.RecordHash(record)); err != nil {
					return err
				}
			}
		}
		if len(bundle) != 0 {
			return fmt.Errorf("%s goes on after its last record", path)
		}
	}
	fmt.Printf("whole: %d records\n", tree.N)
	return nil
}

func checkProof(key string) error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	first, text, _ := strings.Cut(string(input), "\n")
	record, err := hex.DecodeString(first)
	if err != nil {
		return err
	}
	head, checkpoint, ok := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("not a c2sp.org/tlog-proof@v1")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	proof, err := hashes(lines[2:])
	if err != nil {
		return err
	}
	tree, err := open([]byte(checkpoint), key)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(record)); err != nil {
		return err
	}
	fmt.Printf("proven: record %d of %d\n", index, tree.N)
	return nil
}

func checkGrowth(key, earlier string) error {
	msg, err := os.ReadFile(earlier)
	if err != nil {
		return err
	}
	old, err := open(msg, key)
	if err != nil {
		return err
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	head, checkpoint, ok := strings.Cut(string(input), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || lines[0] != fmt.Sprintf("old %d", old.N) {
		return fmt.Errorf("not a proof of growth from %d records", old.N)
	}
	proof, err := hashes(lines[1:])
	if err != nil {
		return err
	}
	tree, err := open([]byte(checkpoint), key)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return err
	}
	fmt.Printf("grown: from %d to %d\n", old.N, tree.N)
	return nil
}

func hashes(lines []string) ([]tlog.Hash, error) {
	var all []tlog.Hash
	for _, line := range lines {
		bytes, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(bytes) != tlog.HashSize {
			return nil, fmt.Errorf("%q is no hash", line)
		}
		all = append(all, tlog.Hash(bytes))
	}
	return all, nil
}

func sign(private string) error {
	signer, err := note.NewSigner(private)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	signed, err := note.Sign(&note.Note{Text: string(text)}, signer)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(signed)
	return err
}
