// Uses the client that openapi-generator made, and prints what it was told as one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sort"

	receiver "example.com/acme/receiver"
)

var ctx = context.Background()

func main() {
	configuration := receiver.NewConfiguration()
	configuration.Servers = receiver.ServerConfigurations{{URL: os.Getenv("RECEIVER_URL")}}
	configuration.AddDefaultHeader("Authorization", "Bearer "+os.Getenv("RECEIVER_KEY"))
	client := receiver.NewAPIClient(configuration)
	told := map[string]any{}
	campaign := launch(client, told)
	lookUp(client, told)
	status(client, campaign, told)
	list(client, campaign, told)
	follow(client, told)
	_, _, err := client.MessagesAPI.GetMessage(ctx, "nothing").Execute()
	problem := err.(*receiver.GenericOpenAPIError).Model().(receiver.Problem)
	told["problem"] = problem.Type
	line, err := json.Marshal(told)
	check(err)
	fmt.Println(string(line))
}

// launch has a campaign sent, and keeps its cost as the exact text that it is.
func launch(client *receiver.APIClient, told map[string]any) string {
	body := receiver.NewCampaignBody()
	body.SetText("Our spring collection is here.")
	request := receiver.NewCampaignRequest("sender-1", *body)
	request.SetTo([]string{"+306945000001", "+306945000002"})
	campaign, _, err := client.CampaignsAPI.LaunchCampaign(ctx).CampaignRequest(*request).Execute()
	check(err)
	var cost string = campaign.GetCost()
	told["submission"], told["cost"] = campaign.Submission, cost
	return campaign.Id
}

func lookUp(client *receiver.APIClient, told map[string]any) {
	wanted := receiver.NewLookup([]string{os.Getenv("MESSAGE_ID"), "nothing"})
	answer, _, err := client.MessagesAPI.LookUpMessages(ctx).Lookup(*wanted).Execute()
	check(err)
	found := []string{}
	for _, message := range answer.Items {
		found = append(found, message.TrackingId)
	}
	told["found"], told["notFound"] = found, answer.NotFound
	told["price"] = answer.Items[0].GetPrice()
}

func status(client *receiver.APIClient, campaign string, told map[string]any) {
	answer, _, err := client.StatusAPI.GetStatus(ctx, os.Getenv("MESSAGE_ID")).Execute()
	check(err)
	told["messageStatus"] = answer.MessageStatus.Status
	answer, _, err = client.StatusAPI.GetStatus(ctx, campaign).Execute()
	check(err)
	told["campaignState"] = answer.CampaignStatus.GetState()
}

func list(client *receiver.APIClient, campaign string, told map[string]any) {
	messages, _, err := client.CampaignsAPI.ListCampaignMessages(ctx, campaign).Execute()
	check(err)
	listed := []string{}
	for _, message := range messages.Items {
		listed = append(listed, string(message.Status))
	}
	told["listed"] = listed
	campaigns, _, err := client.CampaignsAPI.ListCampaigns(ctx).Limit(1).Execute()
	check(err)
	told["campaigns"] = len(campaigns.Items)
}

// follow reads the feed to its end, and then waits for one more item.
func follow(client *receiver.APIClient, told map[string]any) {
	types := map[string]bool{}
	cursor := "beginning"
	for {
		page := page(client, cursor, 0)
		cursor = page.NextCursor
		for _, item := range page.Items {
			types[item.Type] = true
		}
		if len(page.Items) < 100 {
			break
		}
	}
	names := []string{}
	for name := range types {
		names = append(names, name)
	}
	sort.Strings(names)
	told["types"] = names
	for told["awaited"] == nil {
		page := page(client, cursor, 20)
		cursor = page.NextCursor
		if len(page.Items) > 0 {
			told["awaited"] = page.Items[0].Type
		}
	}
}

func page(client *receiver.APIClient, after string, wait float32) *receiver.FeedPage {
	page, _, err := client.EventsAPI.ListEvents(ctx).After(after).Wait(wait).Execute()
	check(err)
	return page
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
