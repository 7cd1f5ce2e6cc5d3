import { Shell, startPage } from '../core/shell';
import { t } from '../core/i18n';

function Page() {
  return <Shell page="live" title={t('core.page.live')}>{null}</Shell>;
}

void startPage(Page);
