package remedy

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Bounds of an attestation. Three words are the least that says of something that it is off ("worker-3 is off"), and who is stopped by that writes what they
// know; the journal keeps the words, so they are to be read in one go.
const (
	attestWords = 3
	attestRunes = 500
)

// flagAttest is the flag by which a person vouches for a node.
const (
	flagAttest  = "attest"
	liftsAttest = `--attest "…"`
)

// Why an attestation does not count.
var (
	errAttestShort = errors.New("it takes at least three different words, in which the person says what they know of the node")
	errAttestLong  = fmt.Errorf("it takes at most %d characters", attestRunes)
)

// Attestation is what a person says they know of a node, fit to be shown and kept: without control characters, marks of direction and broken bytes, with
// single blanks. It fails where the words are too few or too many to be anybody's word. Of writing without blanks between words each letter counts as a word.
func Attestation(words string) (string, error) {
	if len(words) > attestRunes*utf8.UTFMax {
		return "", errAttestLong
	}
	clean := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		default:
			return r
		}
	}, words)), " ")
	if utf8.RuneCountInString(clean) > attestRunes {
		return "", errAttestLong
	}
	different := map[string]bool{}
	for word := range strings.FieldsSeq(clean) {
		word = strings.ToLower(strings.TrimFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }))
		letters := false
		for _, r := range word {
			if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
				different[string(r)] = true
			} else if unicode.IsLetter(r) {
				letters = true
			}
		}
		if letters {
			different[word] = true
		}
	}
	if len(different) < attestWords {
		return "", errAttestShort
	}
	return clean, nil
}

// namesNode tells whether the words name the node, and not one whose name only begins or ends like it.
func namesNode(words, node string) bool {
	if node == "" {
		return false
	}
	words, node = strings.ToLower(words), strings.ToLower(node)
	for from := 0; ; {
		i := strings.Index(words[from:], node)
		if i < 0 {
			return false
		}
		i += from
		before, after := words[:i], words[i+len(node):]
		if !endsInName(before) && !beginsInName(after) {
			return true
		}
		from = i + 1
	}
}

// endsInName and beginsInName tell whether a name goes on over the edge of the text. A hyphen or a full stop belongs to a name only with more of the name
// beyond it.
func endsInName(text string) bool {
	text = strings.TrimRight(text, "-.")
	r, _ := utf8.DecodeLastRuneInString(text)
	return text != "" && nameRune(r)
}

func beginsInName(text string) bool {
	text = strings.TrimLeft(text, "-.")
	r, _ := utf8.DecodeRuneInString(text)
	return text != "" && nameRune(r)
}

// nameRune tells whether a node's name can hold it (RFC 1123: lower-case letters, digits, "-" and ".").
func nameRune(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

// attested returns the words by which the person vouches for the pod's node; empty, with the reason where there is one, where they do not.
func (c *Case) attested() (string, error) {
	if c.Asked.Attest == "" {
		return "", nil
	}
	words, err := Attestation(c.Asked.Attest)
	if err != nil {
		return "", err
	}
	if namesNode(words, c.Pod.Node) {
		return words, nil
	}
	for _, n := range c.S.Nodes() {
		if namesNode(words, n.Name) {
			return "", fmt.Errorf("it names %s, and the pod is on node %s", snapshot.Ref{Kind: snapshot.Node, Name: n.Name}, c.Pod.Node)
		}
	}
	return words, nil
}

// vouched lifts a block by the attestation. Where the attestation stands against what is seen, or does not count, the reason says so.
func (c *Case) vouched(v Verdict) Verdict {
	words, err := c.attested()
	switch {
	case err != nil:
		v.Reason += " The attestation does not count: " + err.Error() + "."
	case words != "":
		v.Lifted, v.By = true, fmt.Sprintf("--attest %q", words)
		if st, says := c.hearing(); st == kubeletHeard {
			v.Reason += fmt.Sprintf(" The attestation stands against what is seen: %s, so the node is on and its kubelet works.", says)
		}
	}
	return v
}
