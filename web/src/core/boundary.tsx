// A bug in one page must not leave a white screen: say so, keep the frame, offer to open the page afresh.
import { Component, type ComponentChildren } from 'preact';
import { t } from './i18n';
import { Button } from './ui';

export class Boundary extends Component<{ children: ComponentChildren }, { failed: boolean }> {
  override state = { failed: false };

  override componentDidCatch(bug: unknown): void {
    this.setState({ failed: true });
    // To the console and whatever watches it; the page itself never guesses.
    reportError(bug);
  }

  override render(): ComponentChildren {
    if (!this.state.failed) return this.props.children;
    return (
      <div class="state" role="alert">
        <p class="state-title">{t('core.broken.title')}</p>
        <p>{t('core.broken.text')}</p>
        <Button onClick={() => location.reload()}>{t('core.broken.again')}</Button>
      </div>
    );
  }
}
