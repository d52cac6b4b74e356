package console_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/console"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// story is a page in one state, of canned data.
type story struct {
	name, state string // home, empty
	page        console.Page
}

// words are the texts that people choose. The stories are told with plain ones, with the longest that are allowed, and with right-to-left ones.
type words struct{ state, project, workspace, credential, other, person, text string }

var (
	plain = words{"many", "shop", "shop-prod", "aws-production", "cloudflare-dns", "Ada", "What the shop's runs sign in with."}
	long  = words{
		"long", strings.Repeat("project", 18), strings.Repeat("workspace-without-a-break", 5), strings.Repeat("credential", 12), strings.Repeat("other words ", 10),
		strings.Repeat("person", 20), strings.Repeat("A description that goes on and on. ", 20),
	}
	rightToLeft = words{"rtl", "חנות", "חנות-ייצור", "אישורי ענן", "مفتاح الخدمة", "עדה", "האישורים שבהם משתמשות הריצות של החנות."}
)

// voices are the words that full pages are told with.
var voices = []words{plain, long, rightToLeft}

// The instant of all stories, and ids that look like ids.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	firstID  = "01900000-0000-7000-8000-000000000001"
	secondID = "01900000-0000-7000-8000-000000000002"
	manyRows = 12
)

// The states of credentials.
var (
	valid   = console.Badge{Tone: "good", Text: "valid"}
	invalid = console.Badge{Tone: "bad", Text: "invalid"}
	unknown = console.Badge{Tone: "plain", Text: "unverified"}
	well    = console.HealthView{Database: console.Badge{Tone: "good", Text: "answers"}, Vault: console.Badge{Tone: "good", Text: "answers"}, Keys: console.Badge{Tone: "good", Text: "1 key"}}
	unwell  = console.HealthView{
		Database: console.Badge{Tone: "good", Text: "answers"},
		Vault:    console.Badge{Tone: "bad", Text: "sealed", Hint: "It is sealed: unseal it."}, Keys: console.Badge{Tone: "warn", Text: "rotating"},
	}
)

// The failures that pages show.
var (
	refused = &console.Problem{
		Title: "Some fields need another look", Detail: "2 fields are wrong.",
		Fields: []forgecroft.FieldError{{Field: "name", Code: "already_taken", Message: "Another credential has this name."}, {Field: "data.secret_access_key", Code: "required", Message: "The field secret_access_key is required."}},
	}
	degraded = &console.Problem{Title: "A part of Forgecroft cannot be reached", Detail: "The database or the vault does not answer at the moment. Deliveries may be affected as well; try again in a few seconds."}
)

// at makes a page of a story that somebody with every permission sees.
func at(title, section string, w words, view any) console.Page {
	return console.Page{
		Title: title, Section: section, View: view, Now: now, Version: "1.0.0", Once: firstID,
		Viewer: &console.Viewer{KeyName: w.person, Role: "owner", Scope: "organization", Reads: true, Writes: true, Keys: true, Audit: true, Creates: true},
	}
}

// with says what stands in the way on a page.
func with(p console.Page, problem *console.Problem) console.Page {
	p.Problem = problem
	return p
}

// stories lists all pages in all states.
func stories() []story {
	var all []story
	for _, tell := range []func() []story{
		homeStories, credentialsStories, credentialStories, formStories, secretsStories, pasteStories, workspaceStories, deliveryStories, bulkStories, draftStories, projectStories, keyStories, auditStories,
		systemStories, dangerStories, gateStories, wholeStories,
	} {
		all = append(all, tell()...)
	}
	return all
}

// places are links to things with the words' names.
func places(w words) (credential, other, workspace, project console.Link) {
	return console.Link{Name: w.credential, Href: "/console/credentials/" + firstID, Kind: "credential config"},
		console.Link{Name: w.other, Href: "/console/credentials/" + secondID, Kind: "credential config"},
		console.Link{Name: w.workspace, Href: "/console/workspaces/" + firstID, Kind: "workspace"},
		console.Link{Name: w.project, Href: "/console/projects/" + firstID, Kind: "project"}
}

func homeStories() []story {
	told := []story{
		{"home", "empty", at("Home", "home", plain, console.HomeView{Health: well, CanCreate: true, CanCreateProjects: true})},
		{"home", "empty-project", at("Home", "home", plain, console.HomeView{Health: well, CanCreate: true})},
		{"home", "calm", at("Home", "home", plain, console.HomeView{Credentials: 1, Workspaces: 1, Health: well, Chart: &console.Chart{Width: 309, Height: 56, Summary: "No deliveries in the last 24 hours."}})},
		{"home", "degraded", at("Home", "home", plain, console.HomeView{Credentials: 1, Workspaces: 1, Health: unwell})},
	}
	for _, w := range voices {
		credential, other, workspace, _ := places(w)
		told = append(told, story{"home", w.state, at("Home", "home", w, console.HomeView{
			Credentials: 200, Workspaces: 40, More: true, Health: well, CanCreate: true,
			Concerns: []console.Concern{
				{Tone: "bad", Title: "Conflicting credentials", Advice: "Two credentials want the same variable or identity, so nothing is delivered. Detach one.", Links: []console.Link{workspace}},
				{Tone: "warn", Title: "Expire soon", Advice: "The provider ends them within two weeks. Make successors there, and store them here before.", Links: []console.Link{other}},
				{Tone: "warn", Title: "Never verified", Advice: "One click asks the provider whether they work.", Links: []console.Link{credential, other}, Rest: 7},
			},
			Chart: &console.Chart{
				Width: 23, Height: 56, Most: 30, Ticks: []string{"10:00", "now"}, Total: 42, Failed: 2, MoreThanSeen: true, Summary: "42 deliveries in the last 24 hours, 2 refused.",
				Bars: []console.Bar{{X: 0, Width: 10, Y: 20, Height: 36, Delivered: 30, Hour: "10:00", Href: "/console/deliveries?since=2026-03-01T10%3A00"}, {X: 13, Width: 10, Y: 40, Height: 12, FailedY: 52, FailedHigh: 4, Delivered: 10, Failed: 2, Hour: "11:00", Href: "/console/deliveries?since=2026-03-01T11%3A00"}},
			},
		})})
	}
	return told
}

// credentialRows are rows of a list, of all types and states in turn.
func credentialRows(w words, n int) []console.CredentialRow {
	types := [][2]string{{"aws_static", "AWS access key"}, {"aws_assume_role", "AWS role"}, {"gcp_service_account", "Google service account"}, {"cloudflare_api_token", "Cloudflare API token"}, {"generic_env", "Environment variables"}}
	rows := make([]console.CredentialRow, n)
	_, _, workspace, _ := places(w)
	for i := range rows {
		kind := types[i%len(types)]
		rows[i] = console.CredentialRow{
			ID: fmt.Sprintf("%s%02d", firstID[:34], i), Pick: i%2 == 0,
			Href: "/console/credentials/" + firstID, Name: fmt.Sprintf("%s %d", w.credential, i), Type: kind[0], TypeTitle: kind[1], Scope: w.project,
			State: []console.Badge{valid, invalid, unknown}[i%3], Workspaces: slices.Repeat([]console.Link{workspace}, min(i, 2)), Rest: max(0, i-2), Elsewhere: i / 8, All: "/console/workspaces?credential=" + firstID,
			CheckedAt: now.Add(-time.Duration(i) * time.Hour), LastUse: now.Add(-time.Duration(i*i) * 24 * time.Hour),
		}
	}
	return rows
}

// choices are those of a filter.
func choices(first string, names ...string) []console.Option {
	made := []console.Option{{Label: first, Chosen: true}}
	for _, name := range names {
		made = append(made, console.Option{Value: name, Label: name})
	}
	return made
}

func credentialsStories() []story {
	list := func(w words, rows []console.CredentialRow) console.CredentialsView {
		return console.CredentialsView{
			Rows: rows, Types: choices("All types", "aws_static"), Scopes: choices("Everywhere", w.project), States: choices("Any state", "valid", "invalid"), CanCreate: true, CanVerify: len(rows) > 0,
		}
	}
	filtered := list(plain, nil)
	filtered.Filtered, filtered.Query = true, "nothing <b>like</b> \"this\""
	told := []story{
		{"credentials", "empty", at("Credentials", "credentials", plain, list(plain, nil))},
		{"credentials", "none-match", at("Credentials", "credentials", plain, filtered)},
		{"credentials", "one", at("Credentials", "credentials", plain, list(plain, credentialRows(plain, 1)))},
	}
	for _, w := range voices {
		view := list(w, credentialRows(w, manyRows))
		_, _, _, project := places(w)
		view.Older, view.ProjectID, view.Project = "/console/credentials?after=x", firstID, &project
		told = append(told, story{"credentials", w.state, at("Credentials", "credentials", w, view)})
	}
	return told
}

func credentialStories() []story {
	fresh := console.CredentialView{ID: firstID, Name: plain.credential, Scope: "organization", Type: "aws_static", TypeTitle: "AWS access key", State: unknown, CreatedAt: now, CanChange: true}
	role := fresh
	role.Type, role.TypeTitle, role.ExternalID, role.TrustPolicy = "aws_assume_role", "AWS role", "fc-EXAMPLE", "{\n  \"Version\": \"2012-10-17\"\n}"
	trusted := role
	trusted.Trusts, trusted.SecretVersion, trusted.CanVerify = true, 1, true
	waiting := trusted
	_, other, _, _ := places(plain)
	waiting.Trusts, waiting.Source = false, &other
	variables := fresh
	variables.Type, variables.TypeTitle, variables.Unverifiable, variables.SecretVersion, variables.Hidden = "generic_env", "Environment variables", true, 1, []string{"DATABASE_URL"}
	told := []story{
		{"credential", "empty", at(fresh.Name, "credentials", plain, fresh)},
		{"credential", "role", at(role.Name, "credentials", plain, role)},
		{"credential", "role-trusted", at(role.Name, "credentials", plain, trusted)},
		{"credential", "role-waiting", at(role.Name, "credentials", plain, waiting)},
		{"credential", "unverifiable", at(variables.Name, "credentials", plain, variables)},
	}
	for _, w := range voices {
		told = append(told, story{"credential", w.state, at(w.credential, "credentials", w, fullCredential(w))})
	}
	abroad := fresh
	abroad.SecretVersion, abroad.Elsewhere, abroad.CanChange = 1, 1, false
	told = append(told, story{"credential", "elsewhere", at(abroad.Name, "credentials", plain, abroad)})
	wrong := fullCredential(plain)
	wrong.State = invalid
	wrong.Result = &console.ResultView{Badge: invalid, Code: "InvalidClientTokenId", Detail: "AWS does not know this access key id. It may have been deleted. Store another key.", CheckedAt: now.Add(-time.Minute), Version: 3}
	wrong.Attempt = &console.ResultView{Badge: console.Badge{Tone: "warn", Text: "could not tell"}, Code: "timeout", Detail: "AWS did not answer in time.", CheckedAt: now, Version: 3}
	return append(told, story{"credential", "error", at(wrong.Name, "credentials", plain, wrong)})
}

// fullCredential has everything that a credential can have.
func fullCredential(w words) console.CredentialView {
	_, other, workspace, _ := places(w)
	return console.CredentialView{
		ID: firstID, Name: w.credential, Description: w.text, Scope: w.project, Type: "aws_static", TypeTitle: "AWS access key", DocsURL: "https://docs.aws.amazon.com/", State: valid, SecretVersion: 3,
		StoredAt: now.Add(-72 * time.Hour), LastUse: now.Add(-5 * time.Minute), CreatedAt: now.Add(-720 * time.Hour), Public: []console.Value{{Name: "Access key id", Value: "AKIAIOSFODNN7EXAMPLE"}},
		Hidden: []string{"Secret access key"}, Sets: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, Source: &other, Users: []console.Link{workspace, other}, AllUsers: "/console/workspaces?credential=" + firstID,
		Result:     &console.ResultView{Badge: valid, Identity: "arn:aws:iam::123456789012:user/ci", Warnings: []string{"The key is older than a year."}, ExpiresAt: now.Add(10 * 24 * time.Hour), CheckedAt: now.Add(-time.Hour), Version: 3},
		Versions:   []console.VersionView{{Number: 3, At: now.Add(-72 * time.Hour), By: w.person, Current: true}, {Number: 2, At: now.Add(-96 * time.Hour), By: w.person}},
		Deliveries: deliveryRows(w, 2, 3),
		CanChange:  true, CanVerify: true,
	}
}

// fields are inputs of every kind.
func fields(w words, problem *console.Problem) []console.Field {
	return []console.Field{
		{Name: "name", Label: "Name", Kind: "text", Value: w.credential, Required: true, Placeholder: "aws-production", Error: problem.Of("name")},
		{Name: "description", Label: "Description", Kind: "textarea", Value: w.text},
		{Name: "project_id", Label: "Who may use it", Kind: "select", Required: true, Help: "A credential of a project may be attached to its workspaces.", Options: choices("The whole organization", w.project)},
		{Name: "days", Label: "Days", Kind: "number", Value: "30"},
	}
}

func formStories() []story {
	form := func(w words, p *console.Problem) console.Page {
		return with(at("Edit credential", "credentials", w, console.FormView{
			Lead: "First its name and who may use it.", Submit: "Save", Icon: "aws_static", Fields: fields(w, p), Back: "/console/credentials", Revision: 2, Delete: "/console/credentials/" + firstID + "/delete", DeleteText: "Delete this credential",
		}), p)
	}
	fresh := at("New project", "projects", plain, console.FormView{Lead: "A project groups workspaces.", Submit: "Create", Back: "/console/projects", Fields: []console.Field{{Name: "name", Label: "Name", Kind: "text", Required: true, Placeholder: "platform"}}})
	again := at("New API key", "keys", plain, console.FormView{Submit: "Create", Back: "/console/keys", Fields: []console.Field{{Name: "again", Label: "Who you are", Kind: "again", Value: "/console/sign-on?fresh=1", Required: true}}})
	told := []story{{"form", "empty", fresh}, {"form", "error", form(plain, refused)}, {"form", "degraded", form(plain, degraded)}, {"form", "sign-on-again", again}}
	for _, w := range voices {
		told = append(told, story{"form", w.state, form(w, nil)})
	}
	kinds := console.TypesView{Paste: "/console/credentials/paste"}
	for _, row := range credentialRows(plain, 5) {
		kinds.Types = append(kinds.Types, console.TypeChoice{Name: row.Type, Title: row.TypeTitle, Description: "What it is.", Href: "/console/credentials/new?type=" + row.Type})
	}
	return append(told, story{"types", "many", at("New credential", "credentials", plain, kinds)})
}

func secretsStories() []story {
	typed := func(w words, p *console.Problem) console.Page {
		return with(at("Store secrets", "credentials", w, console.SecretsView{
			Name: w.credential, Type: "aws_static", TypeTitle: "AWS access key", Description: "A key of an IAM user.", DocsURL: "https://docs.aws.amazon.com/", Version: 2, Back: "/console/credentials/" + firstID, Paste: "/console/credentials/" + firstID + "/paste",
			Fields: []console.Field{
				{Name: "data.access_key_id", Label: "Access key id", Kind: "text", Required: true, Value: "AKIAIOSFODNN7EXAMPLE"},
				{Name: "data.secret_access_key", Label: "Secret access key", Kind: "secret", Required: true, Error: p.Of("data.secret_access_key")},
				{Name: "data.session_token", Label: "Session token", Kind: "secret-lines", Help: "Belongs to temporary keys."},
			},
		}), p)
	}
	rows := console.SecretsView{Name: plain.credential, Type: "generic_env", TypeTitle: "Environment variables", Back: "/console/credentials/" + firstID}
	first := rows
	for i := range 4 {
		first.Pairs = append(first.Pairs, console.Pair{Row: i})
		rows.Pairs = append(rows.Pairs, console.Pair{Row: i, Name: fmt.Sprintf("%s_%d", strings.Repeat("VARIABLE", i+1), i)})
	}
	unset := console.SecretsView{Name: plain.credential, Type: "cloudflare_api_token", TypeTitle: "Cloudflare API token", Back: "/console/credentials/" + firstID, Fields: []console.Field{{Name: "data.api_token", Label: "API token", Kind: "secret", Required: true}}}
	told := []story{
		{"secrets", "empty", at("Store secrets", "credentials", plain, unset)},
		{"secrets", "error", typed(plain, refused)},
		{"secrets", "degraded", typed(plain, degraded)},
		{"secrets", "variables-empty", at("Store secrets", "credentials", plain, first)},
		{"secrets", "variables", at("Store secrets", "credentials", plain, rows)},
	}
	for _, w := range voices {
		told = append(told, story{"secrets", w.state, typed(w, nil)})
	}
	return told
}

func pasteStories() []story {
	paste := func(w words, found *console.FoundView) console.Page {
		return at("Paste a credential", "credentials", w, console.PasteView{
			Title: "Paste a credential", Lead: "Its kind is recognised.", Fields: fields(w, nil), Paste: console.Field{Name: "paste", Label: "What you have", Kind: "secret-lines", Required: true, Help: "A key file, lines of a shell."},
			Found: found, Submit: "Create and store", Back: "/console/credentials/new", BackName: "New credential",
		})
	}
	found := &console.FoundView{Type: "aws_static", Title: "AWS access key", Form: "a CSV file of the AWS console", Parts: []console.FoundPart{{Name: "Access key id", Value: "ASIAIOSFODNN7EXAMPLE", Length: 20}, {Name: "Secret access key", Length: 40}}}
	found.Fields = []console.Field{{Name: "data.region", Label: "Region", Kind: "text", Placeholder: "eu-central-1"}, {Name: "data.expected_account_id", Label: "Expected account", Kind: "text", Help: "Verification fails for any other."}}
	wrong := *found
	wrong.Wrong = []forgecroft.FieldError{{Field: "data.access_key_id", Code: "pattern", Message: "This is no access key id."}}
	wrong.Fields = append([]console.Field{{Name: "data.session_token", Label: "Session token", Kind: "secret-lines", Error: "A temporary key (ASIA…) only works with its session token."}}, found.Fields...)
	return []story{
		{"paste", "empty", paste(plain, nil)},
		{"paste", "many", paste(plain, found)},
		{"paste", "degraded", with(paste(plain, nil), degraded)},
		{"paste", "wrong", paste(plain, &wrong)},
		{"paste", "error", paste(plain, &console.FoundView{Problem: "This is nothing that is recognised."})},
		{"paste", "long", paste(long, found)},
		{"paste", "rtl", paste(rightToLeft, found)},
	}
}

// environment is what a run gets, with everything that can be wrong with it.
func environment(w words, broken bool) console.EnvironmentView {
	credential, other, _, _ := places(w)
	e := console.EnvironmentView{
		Variables: 3, Unset: []string{"AWS_PROFILE", "AWS_SESSION_TOKEN"},
		Sources: []console.SourceView{
			{Name: w.credential, Href: credential.Href, Type: "aws_static", Variables: []console.VariableView{{Name: "AWS_ACCESS_KEY_ID"}, {Name: "AWS_SECRET_ACCESS_KEY", Secret: true, Conflict: broken}}},
			{Name: w.other, Href: other.Href, Type: "gcp_service_account", Variables: []console.VariableView{{Name: "GOOGLE_APPLICATION_CREDENTIALS", File: true}}},
		},
	}
	if broken {
		e.Sources = append(e.Sources, console.SourceView{Name: w.other, Href: other.Href, Type: "aws_static"})
		e.Conflicts = []console.ConflictView{{Variable: "AWS_SECRET_ACCESS_KEY", Group: "AWS", First: credential, Second: other}}
		e.Missing = []console.Link{other}
	}
	return e
}

// deliveryRows are deliveries, every second one failed. version is that of the credential that was asked about; 0: none was.
func deliveryRows(w words, n int, version int64) []console.DeliveryView {
	_, _, workspace, _ := places(w)
	rows := make([]console.DeliveryView, n)
	for i := range rows {
		rows[i] = console.DeliveryView{
			At: now.Add(-time.Duration(i) * time.Hour), Workspace: workspace, Actor: w.person, By: "/console/deliveries?key=" + firstID, RunID: w.credential, Version: version, Credentials: 2,
			Outcome: console.Badge{Tone: "good", Text: "allowed"},
		}
		if i%2 == 1 {
			rows[i].Outcome, rows[i].Code = console.Badge{Tone: "warn", Text: "failed"}, "secret_unreadable"
		}
	}
	return rows
}

func bulkStories() []story {
	list := func(w words, n int) console.ConfigWorkspacesView {
		credential, _, workspace, _ := places(w)
		view := console.ConfigWorkspacesView{Credential: credential, ID: firstID}
		for i := range n {
			view.Rows = append(view.Rows, console.ConfigWorkspaceRow{ID: fmt.Sprintf("%s%02d", firstID[:34], i), Name: w.workspace, Href: workspace.Href, Project: w.project, Attached: i%2 == 0})
		}
		return view
	}
	none := list(plain, 0)
	none.Query = "nothing"
	told := []story{
		{"config-workspaces", "empty", at("Workspaces", "credentials", plain, list(plain, 0))},
		{"config-workspaces", "none-match", at("Workspaces", "credentials", plain, none)},
		{"config-workspaces", "one", at("Workspaces", "credentials", plain, list(plain, 1))},
		{"config-workspaces", "error", with(at("Workspaces", "credentials", plain, list(plain, 2)), &console.Problem{Title: "Some fields need another look", Fields: []forgecroft.FieldError{{Field: "id", Code: "required", Message: "Select at least one."}}})},
		{"config-workspaces", "degraded", with(at("Workspaces", "credentials", plain, list(plain, 2)), degraded)},
	}
	for _, w := range voices {
		credential, _, workspace, _ := places(w)
		many := list(w, manyRows)
		many.Newer, many.Older = "/console/credentials/"+firstID+"/workspaces", "/console/credentials/"+firstID+"/workspaces?after=x"
		report := console.BulkView{Title: "Attached " + w.credential, Lead: "Each workspace was changed by itself.", Back: credential, Rows: []console.BulkRow{
			{Object: workspace, Outcome: console.Badge{Tone: "good", Text: "attached"}},
			{Object: workspace, Outcome: console.Badge{Tone: "plain", Text: "attached already"}},
			{Object: console.Link{Name: w.workspace}, Outcome: console.Badge{Tone: "bad", Text: "failed"}, Detail: w.text},
		}}
		told = append(told, story{"config-workspaces", w.state, at("Workspaces", "credentials", w, many)}, story{"bulk", w.state, at("Attached", "credentials", w, report)})
	}
	return told
}

func deliveryStories() []story {
	view := func(w words, n int) console.DeliveriesView {
		return console.DeliveriesView{
			Rows: deliveryRows(w, n, 0), Workspaces: choices("All workspaces", w.workspace), Credentials: choices("All credentials", w.credential), Keys: choices("Anybody", w.person),
			Outcomes: choices("Any outcome", "allowed"), Window: 20000,
		}
	}
	filtered := view(plain, 0)
	filtered.Filtered, filtered.Keys, filtered.Key = true, nil, firstID
	wrong := filtered
	wrong.Since, wrong.Until = "2026-03-01T12:00", "2026-03-01T11:00"
	told := []story{
		{"deliveries", "empty", at("Deliveries", "deliveries", plain, view(plain, 0))},
		{"deliveries", "one", at("Deliveries", "deliveries", plain, view(plain, 1))},
		{"deliveries", "none-match", at("Deliveries", "deliveries", plain, filtered)},
		{"deliveries", "error", with(at("Deliveries", "deliveries", plain, wrong), refused)},
		{"deliveries", "degraded", with(at("Deliveries", "deliveries", plain, filtered), degraded)},
	}
	for _, w := range voices {
		many := view(w, manyRows)
		many.Filtered, many.Older, many.Newer = true, "/console/deliveries?after=x", "/console/deliveries"
		told = append(told, story{"deliveries", w.state, at("Deliveries", "deliveries", w, many)})
	}
	return told
}

func workspaceStories() []story {
	list := func(w words, n int) console.WorkspacesView {
		view := console.WorkspacesView{Projects: choices("All projects", w.project), CanCreate: true}
		for i := range n {
			view.Rows = append(view.Rows, console.WorkspaceRow{Href: "/console/workspaces/" + firstID, Name: fmt.Sprintf("%s %d", w.workspace, i), Description: w.text, Project: w.project, Credentials: i, Health: []console.Badge{{Tone: "bad", Text: "1 invalid"}, {Tone: "good", Text: "healthy"}}[i%2], LastDelivered: now.Add(-time.Duration(i) * time.Hour)})
		}
		return view
	}
	one := func(w words, e console.EnvironmentView) console.Page {
		_, _, _, project := places(w)
		return at(w.workspace, "workspaces", w, console.WorkspaceView{ID: firstID, Name: w.workspace, Description: w.text, Project: &project, LastDelivered: now.Add(-time.Hour), CreatedAt: now.Add(-48 * time.Hour), Environment: e, Credentials: credentialRows(w, len(e.Sources)), Deliveries: deliveryRows(w, len(e.Sources), 0), Reads: true, CanChange: true})
	}
	filtered := list(plain, 0)
	filtered.Filtered, filtered.Query = true, "nothing"
	told := []story{
		{"workspaces", "empty", at("Workspaces", "workspaces", plain, list(plain, 0))},
		{"workspaces", "none-match", at("Workspaces", "workspaces", plain, filtered)},
		{"workspaces", "one", at("Workspaces", "workspaces", plain, list(plain, 1))},
		{"workspace", "empty", one(plain, console.EnvironmentView{})},
		{"workspace", "conflict", one(plain, environment(plain, true))},
	}
	for _, w := range voices {
		view := list(w, manyRows)
		credential, _, _, _ := places(w)
		view.Older, view.Credential, view.With = "/console/workspaces?after=x", firstID, &credential
		told = append(told, story{"workspaces", w.state, at("Workspaces", "workspaces", w, view)}, story{"workspace", w.state, one(w, environment(w, false))})
	}
	return told
}

func draftStories() []story {
	draft := func(w words, change func(*console.DraftView)) console.Page {
		view := console.DraftView{Workspace: w.workspace, Href: "/console/workspaces/" + firstID, Revision: 2, IDs: firstID, Choices: []console.Option{{Value: secondID, Label: w.other}}}
		for i, row := range credentialRows(w, 3) {
			view.Rows = append(view.Rows, console.DraftRow{ID: []string{"a", "b", "c"}[i], Name: row.Name, Href: row.Href, Type: row.Type, TypeTitle: row.TypeTitle, Scope: row.Scope, State: row.State, Up: []string{"", "?ids=b", "?ids=c"}[i], Down: []string{"?ids=d", "?ids=e", ""}[i], Remove: "?ids="})
		}
		view.Environment = environment(w, false)
		change(&view)
		return at("Credentials of "+w.workspace, "workspaces", w, view)
	}
	told := []story{
		{"attach", "empty", draft(plain, func(v *console.DraftView) { v.Rows, v.Environment = nil, console.EnvironmentView{} })},
		{"attach", "nothing-left", draft(plain, func(v *console.DraftView) { v.Choices = nil })},
		{"attach", "many-to-find", draft(plain, func(v *console.DraftView) { v.Narrow, v.Find = true, "oldest" })},
		{"attach", "conflict", draft(plain, func(v *console.DraftView) { v.Changed, v.Blocked, v.Environment = true, true, environment(plain, true) })},
		{"attach", "rival", draft(plain, func(v *console.DraftView) {
			v.Changed, v.Rival = true, &console.RivalView{Names: []string{plain.credential, plain.other}, Mine: "?ids=a", Now: "?ids=b"}
		})},
		{"attach", "error", draft(plain, func(v *console.DraftView) { v.Broken = refused })},
		{"attach", "degraded", with(draft(plain, func(v *console.DraftView) { v.Changed = true }), degraded)},
	}
	for _, w := range voices {
		told = append(told, story{"attach", w.state, draft(w, func(v *console.DraftView) {
			v.Changed, v.Rival = true, &console.RivalView{Names: []string{w.credential}, Mine: "?ids=a", Now: "?ids=b"}
		})})
	}
	return told
}

func projectStories() []story {
	told := []story{
		{"projects", "empty", at("Projects", "projects", plain, console.ProjectsView{CanCreate: true})},
		{"projects", "one", at("Projects", "projects", plain, console.ProjectsView{CanCreate: true, Rows: []console.ProjectRow{{Href: "/console/projects/" + firstID, Name: plain.project, CreatedAt: now}}})},
		{"projects", "none-match", at("Projects", "projects", plain, console.ProjectsView{Filtered: true, Query: "nothing"})},
		{"project", "empty", at(plain.project, "projects", plain, console.ProjectView{ID: firstID, Name: plain.project, CreatedAt: now, CanChange: true, CanWrite: true, MakesKeys: true})},
	}
	for _, w := range voices {
		credential, other, workspace, _ := places(w)
		list := console.ProjectsView{CanCreate: true, Older: "/console/projects?after=x"}
		for i := range manyRows {
			list.Rows = append(list.Rows, console.ProjectRow{Href: "/console/projects/" + firstID, Name: fmt.Sprintf("%s %d", w.project, i), Description: w.text, CreatedAt: now.Add(-time.Duration(i) * time.Hour)})
		}
		one := console.ProjectView{
			ID: firstID, Name: w.project, Description: w.text, CreatedAt: now, Workspaces: []console.Link{workspace}, Credentials: []console.Link{credential, other}, CanChange: true, CanWrite: true, MakesKeys: true,
			AllWorkspaces: "/console/workspaces?project=" + firstID, AllCredentials: "/console/credentials?project=" + firstID,
		}
		told = append(told, story{"projects", w.state, at("Projects", "projects", w, list)}, story{"project", w.state, at(w.project, "projects", w, one)})
	}
	return told
}

func keyStories() []story {
	row := func(w words, state console.Badge, revoke string) console.KeyRow {
		return console.KeyRow{Name: w.person, Hint: "fc_live_EXAMPLE…", Role: "owner", Scope: w.project, State: state, CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(720 * time.Hour), LastUsed: now.Add(-20 * time.Minute), Revoke: revoke}
	}
	own := row(plain, console.Badge{Tone: "good", Text: "active"}, "")
	own.Own, own.ExpiresAt, own.LastUsed = true, time.Time{}, time.Time{}
	told := []story{
		{"keys", "one", at("API keys", "keys", plain, console.KeysView{Rows: []console.KeyRow{own}})},
	}
	for _, w := range voices {
		states := []console.Badge{{Tone: "good", Text: "active"}, {Tone: "warn", Text: "expires soon"}, {Tone: "plain", Text: "revoked"}}
		view := console.KeysView{Older: "/console/keys?after=x"}
		for i := range manyRows {
			view.Rows = append(view.Rows, row(w, states[i%3], []string{"/console/keys/" + firstID + "/revoke", "/console/keys/" + secondID + "/revoke", ""}[i%3]))
		}
		made := console.KeyMadeView{Name: w.person, Role: "runner", Key: "fc_live_EXAMPLE", Export: "export FORGECROFT_API_KEY=fc_live_EXAMPLE"}
		told = append(told, story{"keys", w.state, at("API keys", "keys", w, view)}, story{"key-made", w.state, at("API key created", "keys", w, made)})
	}
	return told
}

func auditStories() []story {
	view := func(w words, n int) console.AuditView {
		made := console.AuditView{
			Outcomes: choices("Any outcome", "allowed", "denied"), Actors: choices("Everybody", w.person), Export: "/console/audit/export",
			Chain: console.ChainView{Signed: 40, SignedAt: now.Add(-time.Minute), KeyID: "EXAMPLE", Here: console.Badge{Tone: "good", Text: "intact"}},
		}
		for i := range n {
			made.Rows = append(made.Rows, console.AuditRow{
				Sequence: int64(42 - i), At: now.Add(-time.Duration(i) * time.Minute), Actor: w.person, By: []string{"/console/audit?actor=" + firstID, ""}[i%2], Action: "environment.deliver", Object: console.Link{Name: w.workspace, Href: []string{"/console/workspaces/" + firstID, ""}[i%2], Kind: "workspace"},
				Outcome: []console.Badge{{Tone: "good", Text: "allowed"}, {Tone: "bad", Text: "denied"}}[i%2], Details: []string{"", "reason: " + w.text}[i%2], Remote: "192.0.2.1",
			})
		}
		return made
	}
	filtered := view(plain, 0)
	filtered.Filtered, filtered.Action, filtered.Object, filtered.Since = true, "nothing.", firstID, "2026-02-01"
	young := view(plain, 1)
	young.Chain = console.ChainView{Here: console.Badge{Tone: "good", Text: "intact"}}
	broken := view(plain, 2)
	broken.Chain.CheckedAll, broken.Chain.All = true, console.Badge{Tone: "bad", Text: "broken at event 17"}
	told := []story{
		{"audit", "one", at("Audit", "audit", plain, young)},
		{"audit", "none-match", at("Audit", "audit", plain, filtered)},
		{"audit", "error", at("Audit", "audit", plain, broken)},
	}
	for _, w := range voices {
		many := view(w, manyRows)
		many.Older = "/console/audit?after=x"
		told = append(told, story{"audit", w.state, at("Audit", "audit", w, many)})
	}
	return told
}

func systemStories() []story {
	facts := []console.Fact{{Name: "Version", Value: "1.0.0"}, {Name: "Console", Value: "API keys"}}
	ring := &console.RingView{Keys: []console.RingKeyView{{ID: "k1", Secrets: 40}, {ID: "k2", Primary: true, Secrets: 2}}, CanRotate: true}
	rotating := *ring
	rotating.Rotating, rotating.Moved, rotating.All = true, 2, 42
	return []story{
		{"system", "many", at("System", "system", plain, console.SystemView{Facts: facts, Health: well, Ring: ring})},
		{"system", "rotating", at("System", "system", plain, console.SystemView{Facts: facts, Health: well, Ring: &rotating})},
		{"system", "empty", at("System", "system", plain, console.SystemView{Facts: facts, Health: well, RingNote: "The vault has keys of its own."})},
		{"system", "degraded", at("System", "system", plain, console.SystemView{Facts: facts, Health: unwell, RingNote: "The vault does not answer."})},
	}
}

func dangerStories() []story {
	ask := func(w words, change func(*console.Danger)) console.Page {
		d := console.Danger{Act: "Delete credential", Name: w.credential, Warning: "Its secrets are destroyed in the vault and cannot be brought back.", Cancel: "/console/credentials/" + firstID, Revision: 2}
		change(&d)
		return at("Delete "+w.credential, "credentials", w, d)
	}
	_, _, workspace, _ := places(plain)
	told := []story{
		{"danger", "empty", ask(plain, func(*console.Danger) {})},
		{"danger", "key-again", ask(plain, func(d *console.Danger) { d.Confirm = true })},
		{"danger", "sign-on-again", ask(plain, func(d *console.Danger) { d.Again = "/console/sign-on?fresh=1" })},
		{"danger", "blocked", ask(plain, func(d *console.Danger) { d.Blocked, d.Breaks = true, []console.Link{workspace} })},
		{"danger", "detach", ask(plain, func(d *console.Danger) { d.Detach, d.Breaks = firstID, []console.Link{workspace} })},
		{"danger", "degraded", with(ask(plain, func(*console.Danger) {}), degraded)},
		{"danger", "error", with(ask(plain, func(*console.Danger) {}), &console.Problem{Title: "Some fields need another look", Fields: []forgecroft.FieldError{{Field: "confirm", Code: "mismatch", Message: "This is another name."}}})},
	}
	for _, w := range voices {
		told = append(told, story{"danger", w.state, ask(w, func(d *console.Danger) {
			credential, _, workspace, _ := places(w)
			d.Confirm, d.Breaks = true, []console.Link{credential, workspace, {Name: w.person, Kind: "API key"}}
		})})
	}
	return told
}

// gateStories are the pages that strangers see, and those that have nothing to show but a failure.
func gateStories() []story {
	stranger := func(p console.Page) console.Page {
		p.Viewer = nil
		return p
	}
	signIn := func(v console.SignInView) console.Page { return stranger(at("Sign in", "", plain, v)) }
	failure := func(w words, problem *console.Problem, status int) console.Page {
		return with(at(problem.Title, "", w, console.ProblemView{Status: status, RequestID: "req-EXAMPLE", Back: "/console/"}), problem)
	}
	told := []story{
		{"sign-in", "empty", signIn(console.SignInView{Next: "/console/"})},
		{"sign-in", "sign-on", signIn(console.SignInView{Next: "/console/", SignOn: "id.example.com", Href: "/console/sign-on"})},
		{"sign-in", "degraded", with(signIn(console.SignInView{Next: "/console/"}), degraded)},
		{"sign-in", "error", with(signIn(console.SignInView{Next: "/console/"}), &console.Problem{Title: "Sign in", Detail: "This key does not open anything."})},
		{"onward", "one", stranger(at("Signed in", "", plain, console.OnwardView{Title: "Signed in", Next: "/console/"}))},
		{"problem", "error", failure(plain, refused, 422)},
		{"problem", "degraded", failure(plain, degraded, 503)},
	}
	for _, w := range voices {
		_, _, workspace, _ := places(w)
		told = append(told, story{"problem", w.state, failure(w, &console.Problem{Title: "This cannot be done as things are", Detail: "It is still used.", Related: []console.Link{workspace, {Name: w.person}}}, 409)})
	}
	return told
}

// wholeStories are of the pages that show nothing of themselves once something stands in the way: it takes their place.
func wholeStories() []story {
	told := []story{}
	absent := &console.Problem{Title: "Not found", Detail: "There is no such object."}
	unreadable := &console.Problem{Title: "The request cannot be read", Detail: "The cursor is not one that this list and filter returned."}
	for _, page := range []struct {
		name, section string
		problem       *console.Problem
		status        int
	}{
		{"home", "home", &console.Problem{Title: "Something went wrong on the server", Detail: "The server's log says more. Nothing of it is shown here on purpose."}, 500},
		{"credentials", "credentials", unreadable, 400},
		{"credential", "credentials", nil, 0},
		{"types", "credentials", nil, 0},
		{"workspaces", "workspaces", unreadable, 400},
		{"workspace", "workspaces", absent, 404},
		{"projects", "projects", unreadable, 400},
		{"project", "projects", absent, 404},
		{"keys", "keys", &console.Problem{Title: "Not allowed", Detail: "The role member of this API key does not allow this."}, 403},
		{"audit", "audit", nil, 0},
		{"system", "system", &console.Problem{Title: "Not allowed", Detail: "The role member of this API key does not allow this."}, 403},
	} {
		whole := func(problem *console.Problem, status int) console.Page {
			return with(at(problem.Title, page.section, plain, console.ProblemView{Status: status, RequestID: "req-EXAMPLE", Back: "/console/"}), problem)
		}
		if page.problem != nil {
			told = append(told, story{page.name, "error", whole(page.problem, page.status)})
		}
		if page.name != "home" && page.name != "system" { // They have something left to show.
			told = append(told, story{page.name, "degraded", whole(degraded, 503)})
		}
	}
	return told
}
